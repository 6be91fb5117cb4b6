"""RELREC: that the results of a lesion belong to its identification, by TULNKID and TRLNKID."""

from collections import defaultdict
from collections.abc import Mapping

from fhir_trial.sources.sdtm.datasets import Line
from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.rows import Reading

LINKS = {("TU", "TULNKID"): "ONE", ("TR", "TRLNKID"): "MANY"}
"""The domains and variables that the tables join, and how many rows of each belong together."""

_RELATION = "TUTR"


def relations(study: str, lines: Mapping[str, list[Line]]) -> list[Line]:
    """The lines of RELREC where both domains are written: one relation of the data sets, not one of each row.

    For data that came from no SDTM: whoever reads the files is told how lesions and results are joined. SDTM keeps its own relations.
    """
    if not (lines.get("tu") and lines.get("tr")):
        return []
    blank = {"STUDYID": study, "USUBJID": "", "IDVARVAL": "", "RELID": _RELATION}
    return [blank | {"RDOMAIN": domain, "IDVAR": name, "RELTYPE": kind} for (domain, name), kind in LINKS.items()]


def report_relations(raw: RawDomain, reading: Reading) -> None:
    """Say which relations are not the ones that the tables rest on: lesions related otherwise, and rows of other domains."""
    members: dict[str, set[tuple[str, str]]] = defaultdict(set)
    cells = [[text or "" for text in raw.column(name)] for name in ("RELID", "RDOMAIN", "IDVAR")]
    for relation, domain, name in zip(*cells, strict=True):
        members[relation].add((domain.upper(), name.upper()))
    others = [one for one in members.values() if one != set(LINKS)]
    if any({domain for domain, _ in one} >= {"TU", "TR"} for one in others):
        expected, effect = "TULNKID and TRLNKID", "lesions are joined by those all the same"
        reading.report("other-relation", raw, field="IDVAR", expected=expected, severity="warning", effect=effect)
    if others:
        found, effect = f"{len(others)} relations", "no table says them; the rows of the study and of subjects that DM has are kept"
        reading.report("no-table", raw, field="RELID", found=found, severity="information", effect=effect)
