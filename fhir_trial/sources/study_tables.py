"""The tables that come from the study definition alone: organization, study, medication."""

from collections.abc import Iterable

import pyarrow as pa
from msgspec.structs import replace

from fhir_trial.domain.entities import Arm, Medication, Organization, OutcomeMeasure, Study, When
from fhir_trial.domain.study import Drug, Eligibility, StudyDefinition
from fhir_trial.domain.tables import to_table


def study_tables(study: StudyDefinition, more_drugs: Iterable[Drug] = (), data_cutoff: When | None = None) -> dict[str, pa.Table]:
    """Tables organization, study and medication; `more_drugs` and the cutoff are what the data gives and the definition lacks.

    >>> from fhir_trial.sources.study_file import load_study
    >>> study_tables(load_study("NCT05189483"))["medication"].column("medication").to_pylist()
    ['NAB-PACLITAXEL', 'CAMRELIZUMAB']
    """
    sponsor = Organization(study=study.id, organization=study.sponsor.id, name=study.sponsor.name)
    drugs = [Medication(study=study.id, medication=d.medication, name=d.name, form=d.form) for d in (*study.drugs, *more_drugs)]
    return {
        "organization": to_table([sponsor], Organization),
        "study": to_table([replace(_study_row(study), data_cutoff=data_cutoff)], Study),
        "medication": to_table(drugs, Medication),
    }


def _study_row(study: StudyDefinition) -> Study:
    return Study(
        study=study.id,
        title=study.title,
        official_title=study.official_title,
        status=study.status,
        phase=study.phase,
        purpose=study.purpose,
        condition=study.condition,
        description=study.description,
        eligibility=_eligibility_text(study.eligibility),
        sponsor=study.sponsor.id,
        started_on=study.started_on,
        ended_on=study.ended_on,
        arms=tuple(Arm(name=a.name, type=a.type, description=a.description) for a in study.arms),
        outcomes=tuple(
            OutcomeMeasure(name=o.title, level=o.level, description=o.description, time_frame=o.time_frame) for o in study.outcomes
        ),
    )


def _eligibility_text(eligibility: Eligibility) -> str | None:
    """Ages, sex and criteria, one a line; None where the record says nothing.

    >>> _eligibility_text(Eligibility(minimum_age="16 Years", criteria=("Measurable disease",)))
    'Minimum age: 16 Years\\nMeasurable disease'
    """
    named = {"Minimum age": eligibility.minimum_age, "Maximum age": eligibility.maximum_age, "Sex": eligibility.sex}
    lines = [f"{label}: {value}" for label, value in named.items() if value is not None]
    return "\n".join((*lines, *eligibility.criteria)) or None
