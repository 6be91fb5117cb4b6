import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.fhir.ucum import is_unit

# From UCUM's own table of examples and HL7's value set of common units.
UNITS = """
1 % mm cm m2 mg/m2 mg/kg/d ug/(kg.h) 10*3/uL 10*9/L /min /[HPF] [lb_av] [IU]/L m[IU]/mL kg/m2 mm[Hg] cm[H2O] Cel [degF] mol/kg/s
mL/min/{1.73_m2} {score} {ratio} U/L meq/L nmol/min/mL g% a mo wk d h min s dB[SPL] kat/kg [pH] m/s2 kg.m/s2 (mg/dL)/d umol/L Ao
cal_[15] bar nm eV 10*-3 m+2 mg{creat} 24.h
"""
NOT_UNITS = "mcg mg/m² µg IU/L years month hr sec mEq mg//L mg/ (mg mg) () TAB { 2mg"


@pytest.mark.parametrize("unit", UNITS.split())
def test_units(unit: str) -> None:
    assert is_unit(unit)


@pytest.mark.parametrize("text", [*NOT_UNITS.split(), "", "mm Hg"])
def test_not_units(text: str) -> None:
    assert not is_unit(text)


@given(st.sampled_from(UNITS.split()), st.sampled_from(UNITS.split()))
def test_a_quotient_of_units_is_a_unit(one: str, other: str) -> None:
    assert is_unit(f"({one})/({other})")
