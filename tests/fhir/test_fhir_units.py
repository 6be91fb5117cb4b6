"""Conversion between units of UCUM: known figures, what is not related, and the law of there and back."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.fhir.units import convert

KNOWN = [
    # exact by definition: NIST SP 811 and UCUM's tables
    ("1", "[lb_av]", "kg", "0.45359237"), ("1", "[in_i]", "cm", "2.54"), ("1.50", "m", "cm", "150.00"), ("5", "10*9/L", "10*3/uL", "5"),
    ("13.2", "g/dL", "g/L", "132.0"), ("1", "m[iU]/L", "u[iU]/mL", "1"), ("37", "Cel", "[degF]", "98.6"), ("32", "[degF]", "Cel", "0"),
    ("12", "%", "1", "0.12"), ("2", "100.g", "kg", "0.2"), ("100", "mm[Hg]", "kPa", "13.3322387415"), ("7", "mg", "mg", "7"),
]  # fmt: skip
UNRELATED = [
    ("mmol/L", "mg/dL"), ("kg", "cm"), ("xx", "kg"), ("kg", "Kilos"), ("[pH]", "1"), ("{score}", "mg"), ("", "kg"), ("U/L", "[iU]/L"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "one", "other", "expected"), KNOWN)
def test_known_conversions(value, one, other, expected):
    converted = convert(Decimal(value), one, other)
    assert abs(converted - Decimal(expected)) < Decimal("1e-9")


@pytest.mark.parametrize(("one", "other"), UNRELATED)
def test_what_ucum_does_not_relate_is_not_converted(one, other):
    assert convert(Decimal(1), one, other) is None


@given(st.decimals(0, 10**6, places=3), st.sampled_from([("kg", "[lb_av]"), ("g/L", "mg/dL"), ("Cel", "[degF]"), ("m", "[ft_i]")]))
def test_there_and_back_is_the_same_to_nine_digits(value, units):
    again = convert(convert(value, *units), *reversed(units))
    assert abs(again - value) <= abs(value) * Decimal("1e-9") + Decimal("1e-9")
