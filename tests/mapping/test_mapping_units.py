"""Units as sites write them: UCUM's code and system stand beside a text that UCUM has, and beside no other."""

from decimal import Decimal

import pytest

from fhir_trial.domain.entities import BodyMeasure, Dose
from fhir_trial.errors import Findings
from fhir_trial.fhir.versions import VERSIONS
from fhir_trial.mapping import load

UCUM = "http://unitsofmeasure.org"
DOSE = Dose(study="S", subject="1", sequence=1, medication="DRUG", dose=Decimal("5"))


def dose_in(unit, fhir="r4"):
    return load(fhir)["dose"].to_fhir(Dose(**{name: getattr(DOSE, name) for name in DOSE.__struct_fields__} | {"unit": unit}))


@pytest.mark.parametrize("fhir", VERSIONS)
@pytest.mark.parametrize(
    ("unit", "code"),
    [("mg", "mg"), ("mcg", "ug"), ("IU", "[iU]"), ("10*9/L", "10*9/L"), ("TABLET", None), ("m²", None), ("mm Hg", None), ("m^2", None)],
)
def test_a_unit_has_a_code_only_where_ucum_has_the_unit(fhir, unit, code):
    resource = dose_in(unit, fhir)
    written = {"value": Decimal("5"), "unit": unit} | ({"code": code, "system": UCUM} if code else {})
    assert resource["dosage"]["dose"] == written
    assert load(fhir)["dose"].from_fhir(resource).unit == unit


def test_a_body_measure_keeps_a_unit_that_ucum_lacks():
    row = BodyMeasure(study="S", subject="1", sequence=1, test="bsa", value=Decimal("1.9"), unit="m²")
    resource = load("r4")["body_measure"].to_fhir(row)
    assert resource["valueQuantity"] == {"value": Decimal("1.9"), "unit": "m²"}
    assert load("r4")["body_measure"].from_fhir(resource) == row


@pytest.mark.parametrize(
    ("title", "quantity", "unit", "problems"),
    [
        ("a code says what a text of others means", {"unit": "micrograms", "code": "ug", "system": UCUM}, "ug", 0),
        ("a code alone", {"code": "mg/m2", "system": UCUM}, "mg/m2", 0),
        ("a code of another system leaves the text", {"unit": "Tablet", "code": "TAB", "system": "http://x"}, "Tablet", 0),
        ("a code that contradicts its text is found", {"unit": "mg", "code": "g", "system": UCUM}, "mg", 1),
    ],
)
def test_what_others_write_beside_a_unit(title, quantity, unit, problems):
    resource = dose_in("mg")
    resource["dosage"]["dose"] = {"value": Decimal("5")} | quantity
    findings = Findings()
    row = load("r4")["dose"].read(resource, findings)
    assert (row.unit, len(findings)) == (unit, problems)
