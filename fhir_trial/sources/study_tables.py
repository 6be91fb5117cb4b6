"""The tables that come from the study definition: organization, study, medication, and the groups of people it means."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from msgspec.structs import asdict, replace

from fhir_trial.domain.entities import (
    Arm,
    Criterion,
    Eligibility,
    Enrolled,
    Enrollment,
    Medication,
    Organization,
    OutcomeMeasure,
    Party,
    PlannedDose,
    Site,
    SourceColumn,
    SourceDataset,
    SourceQualifier,
    Study,
    StudyIdentifier,
    StudySite,
    When,
)
from fhir_trial.domain.study import ArmDefinition, Drug, OtherNumber, StudyDefinition
from fhir_trial.domain.study import Eligibility as EligibilityNotes
from fhir_trial.domain.tables import to_table
from fhir_trial.sources.sites import with_those_of_the_data

GROUP_ELIGIBLE, GROUP_ENROLLED = "eligible", "enrolled"
"""The names of the groups of people who may take part and who do."""


@dataclass(frozen=True)
class DataFacts:
    """What the data tell of the study: rows of its sites, those who are enrolled, the cutoff, and what the files were like."""

    sites: Iterable[Mapping[str, Any]] = ()
    enrolled: Iterable[Mapping[str, Any]] = ()
    data_cutoff: When | None = None
    datasets: Iterable[Mapping[str, Any]] = ()
    qualifiers: Iterable[Mapping[str, Any]] = ()
    source_columns: Iterable[Mapping[str, Any]] = ()


def study_tables(study: StudyDefinition, more_drugs: Iterable[Drug] = (), told: DataFacts | None = None) -> dict[str, pa.Table]:
    """Tables organization, site, eligibility, enrollment, study and medication.

    `more_drugs` and what is `told` are what the data give and the definition lacks.

    >>> from fhir_trial.sources.study_file import load_study
    >>> study_tables(load_study("NCT05189483"))["medication"].column("medication").to_pylist()
    ['NAB-PACLITAXEL', 'CAMRELIZUMAB']
    """
    sponsor = Organization(study=study.id, organization=study.sponsor.id, name=study.sponsor.name)
    drugs = [Medication(study=study.id, medication=d.medication, name=d.name, form=d.form) for d in (*study.drugs, *more_drugs)]
    told = told or DataFacts()
    eligible, enrollment = _eligibility(study), _enrollment(study, told)
    sites = [Site(**{"study": study.id, **row}) for row in with_those_of_the_data(map(asdict, study.sites), told.sites)]
    row = replace(
        _study_row(study),
        data_cutoff=told.data_cutoff,
        eligible=GROUP_ELIGIBLE if eligible else None,
        enrolled=GROUP_ENROLLED if enrollment else None,
        enrollment_actual=enrollment[0].size if enrollment else study.enrollment.actual,
        sites=tuple(StudySite(study=study.id, site=site.site) for site in sites),
        datasets=tuple(SourceDataset(**row) for row in told.datasets),
        qualifiers=tuple(SourceQualifier(**row) for row in told.qualifiers),
        source_columns=tuple(SourceColumn(**row) for row in told.source_columns),
    )
    return {
        "organization": to_table([sponsor], Organization),
        "site": to_table(sites, Site),
        "eligibility": to_table(eligible, Eligibility),
        "enrollment": to_table(enrollment, Enrollment),
        "study": to_table([row], Study),
        "medication": to_table(drugs, Medication),
    }


def _eligibility(study: StudyDefinition) -> list[Eligibility]:
    """Who may take part, in one row; none where the definition does not say."""
    stated = study.eligibility
    named = {"minimum age": stated.minimum_age, "maximum age": stated.maximum_age, "sex": stated.sex}
    criteria = [Criterion(kind=kind, text=text) for kind, text in named.items() if text is not None]
    criteria += [Criterion(text=text) for text in stated.criteria]
    name = f"People who may take part in {study.id}"
    return [Eligibility(study=study.id, eligible=GROUP_ELIGIBLE, name=name, criteria=tuple(criteria))] if criteria else []


def _enrollment(study: StudyDefinition, told: DataFacts) -> list[Enrollment]:
    """Who takes part, in one row; none without subjects."""
    subjects = tuple(Enrolled(study=study.id, subject=row["subject"]) for row in told.enrolled)
    name = f"People enrolled in {study.id}"
    return [Enrollment(study=study.id, enrolled=GROUP_ENROLLED, name=name, size=len(subjects), subjects=subjects)] if subjects else []


def _arm(arm: ArmDefinition, study: StudyDefinition) -> Arm:
    """An arm and what it is to get of each of its drugs."""
    planned = [(drug.medication, drug.planned) for drug in study.drugs if drug.medication in arm.medications and drug.planned is not None]
    exposures = tuple(
        PlannedDose(
            medication=medication,
            dose=plan.dose,
            unit=plan.unit,
            route=plan.route,
            cycle_days=plan.cycle_days,
            day=plan.day,
            minutes=plan.minutes,
            frequency=plan.frequency,
            until=plan.until,
        )
        for medication, plan in planned
    )
    return Arm(name=arm.name, type=arm.type, description=arm.description, exposures=exposures)


REGISTRIES = {r"NCT\d{8}": "ClinicalTrials.gov"}
"""What a registry's numbers look like."""


def _identifiers(study: StudyDefinition) -> Iterator[StudyIdentifier]:
    """The study's numbers; one of a registry stands in that registry's system, so that others find the study by it."""
    for number in (OtherNumber(value=study.id), *study.identifiers):
        registry = next((name for form, name in REGISTRIES.items() if re.fullmatch(form, number.value)), None)
        if registry is not None or number.value != study.id:
            yield StudyIdentifier(value=number.value, kind=number.kind, issuer=number.issuer, registry=registry)


def _study_row(study: StudyDefinition) -> Study:
    return Study(
        study=study.id,
        title=study.title,
        official_title=study.official_title,
        status=study.status,
        why_stopped=study.why_stopped,
        phase=study.phase,
        purpose=study.purpose,
        condition=study.condition,
        description=study.description,
        eligibility=_eligibility_text(study.eligibility),
        enrollment_planned=study.enrollment.planned,
        sponsor=study.sponsor.id,
        started_on=study.started_on,
        ended_on=study.ended_on,
        acronym=study.acronym,
        identifiers=tuple(_identifiers(study)),
        parties=tuple(Party(role=p.role, name=p.name, affiliation=p.affiliation) for p in study.parties),
        arms=tuple(_arm(a, study) for a in study.arms),
        outcomes=tuple(
            OutcomeMeasure(name=o.title, level=o.level, description=o.description, time_frame=o.time_frame) for o in study.outcomes
        ),
    )


def _eligibility_text(eligibility: EligibilityNotes) -> str | None:
    """Ages, sex and criteria, one a line; None where the record says nothing.

    >>> _eligibility_text(EligibilityNotes(minimum_age="16 Years", criteria=("Measurable disease",)))
    'Minimum age: 16 Years\\nMeasurable disease'
    """
    named = {"Minimum age": eligibility.minimum_age, "Maximum age": eligibility.maximum_age, "Sex": eligibility.sex}
    lines = [f"{label}: {value}" for label, value in named.items() if value is not None]
    return "\n".join((*lines, *eligibility.criteria)) or None
