from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.errors import InputError
from fhir_trial.fhir.json import decode, encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")) | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_encoded_is_decoded_the_same(value: object) -> None:
    assert decode(encode(value)) == value


@given(st.integers(0, 10**30), st.integers(1, 30))
def test_decimals_keep_their_digits(digits: int, places: int) -> None:
    number = Decimal((0, tuple(map(int, str(digits))), -places))
    (again,) = decode(encode(decode(f"[{number:f}]")))
    assert again.as_tuple() == number.as_tuple()  # trailing zeros too; below 1E-6 the text may have an exponent


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xef\xbb\xbf", "not-json"),
        (b"NaN", "not-json"),
        (b'"\xff"', "not-utf-8"),
        ("\ud800", "not-utf-8"),
        (b"[" * 200_000, "json-too-deep"),
    ],
)
def test_bad_input_is_a_finding_without_its_values(data: bytes | str, code: str) -> None:
    with pytest.raises(InputError) as raised:
        decode(data, "ae.json")
    assert [(f.code, f.place, f.found) for f in raised.value.findings] == [(code, "ae.json", None)]


@pytest.mark.parametrize("data", [b'\xef\xbb\xbf{"a": 1}', '\ufeff{"a": 1}'])
def test_a_byte_order_mark_is_no_part_of_the_value(data: bytes | str) -> None:
    assert decode(data) == {"a": 1}


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"a": float("nan")}, "not-finite"),
        ([Decimal("Infinity")], "not-finite"),
        (object(), "not-json"),
        ("\ud800", "not-utf-8"),
        (nested(200_000), "json-too-deep"),
    ],
)
def test_what_json_cannot_hold_is_not_written(value: object, code: str) -> None:
    with pytest.raises(InputError) as raised:
        encode(value)
    assert raised.value.findings[0].code == code


def test_null_and_text_that_look_like_no_number_are_written() -> None:
    assert encode({"a": None, "b": "NaN"}) == b'{"a":null,"b":"NaN"}'
