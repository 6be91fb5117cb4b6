"""Every adverse event as a row: whether it counts, in which arm, and as what, so that each figure of the safety tables can be traced."""

import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.analysis import Analysis
from fhir_trial.endpoints.safety import FLAGS, emergent, facts

RECORDED = ("study", "subject", "sequence", "term", "start", "end")
COUNTED = ("organ_class", "preferred_term", "grade", "severity", *FLAGS)
COLUMNS = (*RECORDED, "arm", "emergent", *COUNTED, "source_domain", "source_sequence")
"""A listing's columns: `emergent` is whether the tables count the event; the arm is that of its subject, None for one not treated."""


def listing(analysis: Analysis) -> pd.DataFrame:
    """One row an adverse event, in the order of subject and sequence; `COUNTED` as the tables count it (`safety.facts`)."""
    events = analysis.tables.get("adverse_event", pd.DataFrame(columns=list(RECORDED))).reset_index(drop=True)
    arms = analysis.adsl.assign(arm=analysis.adsl["arm"].where(analysis.adsl["safety"]))
    unknown = pd.DataFrame({"subject": sorted(set(events["subject"].astype(object)) - set(arms["subject"])), "arm": None})
    counted = facts(events, pd.concat([arms[["subject", "arm"]], unknown]), analysis.conventions)
    found = pd.DataFrame({name: col.column(events, name).astype(object) for name in RECORDED}).assign(
        emergent=emergent(events, analysis.adsl, analysis.conventions), **{name: counted[name] for name in ("arm", *COUNTED)}
    )
    found = found.assign(source_domain="AE", source_sequence=found["sequence"])
    return found.sort_values(["subject", "sequence"], kind="stable", ignore_index=True)[list(COLUMNS)]
