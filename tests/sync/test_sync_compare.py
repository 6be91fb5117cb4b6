"""What counts as the same resource, as a table, and what a difference shows."""

from decimal import Decimal

import pytest

from fhir_trial.errors import InputError
from fhir_trial.fhir.json import decode
from fhir_trial.sync.compare import differences, digest

KEYS = {"Patient/a": "urn:s|A"}

SAME = {
    "versions and narrative": (
        '{"meta":{"versionId":"3","lastUpdated":"2024-01-01T00:00:00Z","source":"#x"},"text":{"div":"<div/>"},"status":"final"}',
        '{"status":"final"}',
    ),
    "member order": ('{"a":{"x":1,"y":2}}', '{"a":{"y":2,"x":1}}'),
    "trailing zeros": ('{"value":1.5}', '{"value":1.50}'),
    "a number beyond reckoning": ('{"value":1e9999999}', '{"value":1E+9999999}'),
    "a whole number with a point": ('{"value":100}', '{"value":100.0}'),
    "a moment in another zone": ('{"issued":"2024-03-31T22:00:00Z"}', '{"issued":"2024-04-01T00:00:00.000+02:00"}'),
    "a tag the server added": (
        '{"meta":{"tag":[{"system":"s","code":"x"},{"code":"HTEST"}]}}',
        '{"meta":{"tag":[{"code":"HTEST"}]}}',
    ),
    "a reference rewritten, its identifier kept": (
        '{"subject":{"reference":"Patient/17","identifier":{"system":"urn:s","value":"A"},"display":"x"}}',
        '{"subject":{"reference":"Patient/a","identifier":{"system":"urn:s","value":"A"}}}',
    ),
    "a reference whose identifier was dropped": (
        '{"subject":{"reference":"https://h.example/fhir/Patient/a/_history/2"}}',
        '{"subject":{"reference":"Patient/a","identifier":{"system":"urn:s","value":"A"}}}',
    ),
    "an unknown reference whose identifier was dropped": (
        '{"subject":{"reference":"Group/g"}}',
        '{"subject":{"reference":"Group/g","identifier":{"system":"urn:g","value":"G"}}}',
    ),
}

DIFFERENT = {
    "a value": ('{"valueQuantity":{"value":5}}', '{"valueQuantity":{"value":6}}', ["valueQuantity.value: changed"]),
    "the last of 30 digits": ('{"a":0.100000000000000000000000000001}', '{"a":0.100000000000000000000000000002}', ["a: changed"]),
    "a date's precision": ('{"on":"2024-01"}', '{"on":"2024-01-01"}', ["on: changed"]),
    "text is not a number": ('{"a":"1"}', '{"a":1}', ["a: changed"]),
    "something more": ('{"b":1}', '{"b":1,"c":{"d":2}}', ["c: added"]),
    "something less": ('{"b":1,"c":2}', '{"b":1}', ["c: removed"]),
    "list order": ('{"a":["x","y"]}', '{"a":["y","x"]}', ["a[0]: changed", "a[1]: changed"]),
    "a longer list": ('{"a":["x"]}', '{"a":["x","y"]}', ["a[1]: added"]),
    "another target": (
        '{"subject":{"reference":"Patient/17","identifier":{"system":"urn:s","value":"B"}}}',
        '{"subject":{"reference":"Patient/a"}}',
        ["subject.reference: changed"],
    ),
    "a profile not there": ('{"meta":{"profile":["p"]}}', '{"meta":{"profile":["p","q"]}}', ["meta.profile: changed"]),
}


@pytest.mark.parametrize("name", SAME)
def test_same(name: str):
    theirs, ours = map(decode, SAME[name])
    assert differences(theirs, ours, KEYS) == ()
    if not name.endswith("identifier was dropped"):
        assert digest(theirs) == digest(ours)


@pytest.mark.parametrize("name", DIFFERENT)
def test_different(name: str):
    theirs, ours, expected = DIFFERENT[name]
    found = differences(decode(theirs), decode(ours), KEYS)
    assert [d.describe() for d in found] == expected
    if not name.startswith("a profile"):
        assert digest(decode(theirs)) != digest(decode(ours))


def test_values_are_shown_only_when_asked_for():
    (difference,) = differences({"a": {"b": "Zebulon"}}, {"a": {"b": Decimal("1.50")}}, {})
    assert "Zebulon" not in repr(difference) + difference.describe()
    assert difference.describe(show_values=True) == "a.b: 'Zebulon' -> 1.5"


def test_nesting_beyond_reason_is_an_input_error():
    deep: dict = {}
    for _ in range(3000):
        deep = {"a": deep}
    with pytest.raises(InputError):
        differences({"resourceType": "Basic", "a": {"b": 1}}, {"resourceType": "Basic", "a": deep}, {})
