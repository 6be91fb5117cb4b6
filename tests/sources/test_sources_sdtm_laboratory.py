"""Laboratory results: numbers, limits instead of numbers, words, and what is odd about them."""

from decimal import Decimal

import pytest

BASE = {"USUBJID": "S2", "LBSEQ": "9", "LBTESTCD": "K"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"LBSTRESN": "4.10", "LBSTRESC": "4.1", "LBSTRESU": "mmol/L"}, (Decimal("4.1"), None, "mmol/L", None)),
        ({"LBSTRESC": "< 0.2", "LBSTRESU": "mmol/L"}, (Decimal("0.2"), "<", "mmol/L", None)),
        ({"LBSTRESC": ">=5"}, (Decimal(5), ">=", None, None)),
        ({"LBSTRESC": "NEGATIVE", "LBORRES": "neg"}, (None, None, None, "NEGATIVE")),
        ({"LBORRES": "<3", "LBORRESU": "mg/dL"}, (Decimal(3), "<", "mg/dL", None)),
        ({"LBSTRESN": "0.0833333333333333"}, (Decimal("0.083333333333"), None, None, None)),
        ({"LBSTAT": "NOT DONE", "LBREASND": "haemolysed"}, (None, None, None, None)),
        ({"LBORRES": "NOT DONE", "LBSTAT": "NOT DONE"}, (None, None, None, None)),
    ],
)
def test_results(read, domains, row, expected):
    domains["lb"].append(BASE | row)
    result = next(r for r in read(domains).rows("laboratory") if r.subject == "S2")
    assert (result.value, result.comparator, result.unit, result.text) == expected
    assert bool(result.not_done) == ("LBSTAT" in row)


@pytest.mark.parametrize(
    ("row", "code", "field", "kept"),
    [
        ({}, "missing-value", "LBORRES", False),
        ({"LBSTRESN": "4.1", "LBSTAT": "NOT DONE"}, "not-done-with-result", "LBSTAT", False),
        ({"LBSTRESN": "4,1"}, "not-a-number", "LBSTRESN", False),
        ({"LBSTRESN": "4.1", "LBSTRESC": "5"}, "results-disagree", "LBSTRESC", True),
        ({"LBSTRESN": "4.1", "LBDTC": "2023-13-01"}, "impossible-date", "LBDTC", False),
    ],
)
def test_what_is_odd_is_said(read, domains, row, code, field, kept):
    domains["lb"].append(BASE | row)
    data = read(domains)
    assert (code, "lb.csv", 4, field) in [(f.code, f.place, f.row, f.field) for f in data.findings]
    assert any(r.subject == "S2" for r in data.rows("laboratory")) == kept


def test_the_laboratory_s_own_result_stands_in_for_a_missing_standard_one(read, domains):
    domains["lb"].append(BASE | {"LBORRES": "4.1", "LBORRESU": "mEq/L", "LBORNRLO": "3.5", "LBORNRHI": "n/a"})
    data = read(domains)
    result = next(r for r in data.rows("laboratory") if r.subject == "S2")
    assert (result.value, result.unit, result.low, result.high) == (Decimal("4.1"), "mEq/L", Decimal("3.5"), None)
    assert (result.reported, result.reported_high) == ("4.1", "n/a")
    assert [f.found for f in data.findings if f.code == "standard-result-missing"] == ["1 rows"]
