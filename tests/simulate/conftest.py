from decimal import Decimal

import pytest

from fhir_trial.domain.study import ArmDefinition, Drug, PlannedExposure, Sponsor, StudyDefinition


@pytest.fixture(scope="session")
def simulated_study() -> StudyDefinition:
    """The first study, as far as the simulation needs it."""
    plan = {"route": "INTRAVENOUS", "cycle_days": 21, "day": 1, "minutes": 30}
    per_m2 = PlannedExposure(dose=Decimal(300), unit="mg/m2", **plan)
    flat = PlannedExposure(dose=Decimal(200), unit="mg", **plan)
    return StudyDefinition(
        id="NCT05189483",
        title="Albumin-bound Paclitaxel Plus Camrelizumab for Advanced Soft Tissue Sarcoma",
        status="UNKNOWN",
        sponsor=Sponsor(id="SPONSOR", name="Henan Cancer Hospital"),
        arms=(ArmDefinition(name="Treatment", type="EXPERIMENTAL", code="TRT", medications=("NAB-PACLITAXEL", "CAMRELIZUMAB")),),
        drugs=(
            Drug(medication="NAB-PACLITAXEL", name="nab-paclitaxel", planned=per_m2),
            Drug(medication="CAMRELIZUMAB", name="camrelizumab", planned=flat),
        ),
        outcomes=(),
        endpoints=(),
        condition="Soft Tissue Sarcoma",
        grading="CTCAE 4.03",
    )
