"""The tables of an analysis beside its endpoints: participant flow, baseline, events at a glance, listings, laboratory."""

import pandas as pd

from fhir_trial.endpoints import baseline_table, event_listing, exposure, laboratory, laboratory_tables, participant_flow, safety_overview
from fhir_trial.endpoints.analysis import Analysis
from fhir_trial.endpoints.safety_checks import check_arms, check_events

LISTINGS = frozenset({"serious_events", "deaths", "adverse_events", "laboratory"})
"""Reports with a row for a subject's own record; the others count subjects."""


def reports(analysis: Analysis, doses: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every report by its name; a report whose data are absent has no rows. What was noticed goes to the analysis' findings.

    `doses` is `exposure.table`.
    """
    tables, adsl, conventions, findings = analysis.tables, analysis.adsl, analysis.conventions, analysis.findings
    check_arms(adsl, findings)
    if "adverse_event" in tables:
        check_events(tables["adverse_event"], adsl, findings)
    results = laboratory.results(tables, adsl, analysis.data.study, conventions, findings)
    treated = results[results["subject"].isin(adsl["subject"][adsl["safety"].to_numpy(dtype=bool)]).to_numpy(dtype=bool)]
    return {
        "disposition": participant_flow.table(tables, adsl, conventions),
        "baseline": baseline_table.table(tables, adsl, findings),
        "overview": safety_overview.overview(tables, adsl, conventions),
        "exposure": exposure.summary(doses, adsl),
        "serious_events": safety_overview.serious_events(tables, adsl, conventions),
        "deaths": safety_overview.deaths(tables, adsl, conventions),
        "adverse_events": event_listing.listing(analysis),
        "laboratory": results,
        "laboratory_grades": laboratory_tables.worst_grades(treated),
        "laboratory_shifts": laboratory_tables.shifts(treated),
        "laboratory_changes": laboratory_tables.changes(treated),
    }
