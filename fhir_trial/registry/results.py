"""A study's results as a registry record: collected from the trial's tables and endpoints, written, and checked before it is handed out."""

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import Results
from fhir_trial.errors import Finding, Findings, InputError
from fhir_trial.registry.adverse_events import reported_events
from fhir_trial.registry.outcomes import outcomes
from fhir_trial.registry.participants import Participants, baseline, participant_flow
from fhir_trial.registry.picklists import picklists
from fhir_trial.registry.prs_schema import parse, violations
from fhir_trial.registry.prs_xml import prs_xml
from fhir_trial.registry.record import ResultsRecord


def results_record(data: TrialData, results: Results, study: StudyDefinition, findings: Findings) -> ResultsRecord:
    """The record; what PRS asks for and nobody here knows is a finding for each, and never made up."""
    participants = Participants(data, results, findings)
    missing = picklists().missing
    findings.extend(
        Finding("missing-for-prs", place, expected=what, severity="warning", effect="to be entered in PRS before the record is released")
        for place, what in missing.items()
    )
    return ResultsRecord(
        study=study.id,
        sponsor=study.sponsor.name,
        title=study.title,
        official_title=study.official_title,
        groups=participants.groups,
        flow=participant_flow(participants),
        baseline=baseline(participants, findings),
        outcomes=outcomes(study, results, participants.groups, findings),
        events=reported_events(data, results, participants, findings),
        synthetic=data.synthetic,
    )


def results_xml(data: TrialData, results: Results, study: StudyDefinition, findings: Findings | None = None) -> bytes:
    """The results of `study` as PRS upload XML, valid against NLM's schema; `findings` collects what is missing or doubtful.

    Raises `InputError` rather than hand out a document that the schema refuses.
    """
    collected = Findings() if findings is None else findings
    document = prs_xml(results_record(data, results, study, collected))
    if broken := violations(parse(document)):
        raise InputError(broken)
    return document
