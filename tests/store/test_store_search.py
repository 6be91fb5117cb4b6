import datetime as dt
from typing import Any

import pytest

from fhir_trial.fhir.http import Request
from fhir_trial.store import Store, handle
from fhir_trial.store.criteria import split
from fhir_trial.store.moments import span

LOINC = "http://loinc.org"


def observation(identity: str, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "718-7"}]},
        **members,
    }


@pytest.fixture
def asked(ask):
    """A store with a few resources, and the ids a search finds."""
    name = [{"family": "Müller-Lüdenscheidt", "given": ["Jo,hn"]}]
    ask("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1", "name": name, "birthDate": "1960-05", "active": True})
    ask(
        "PUT",
        "Patient/p2",
        {"resourceType": "Patient", "id": "p2", "telecom": [{"system": "email", "value": "a@example.org"}], "deceasedBoolean": True},
    )
    subject = {"reference": "Patient/p1", "identifier": {"system": "urn:s", "value": "S-1"}}
    unit = {"system": "http://unitsofmeasure.org", "code": "mm", "unit": "mm"}
    for observed in (
        observation("o1", subject=subject, effectiveDateTime="2025-01-31", valueQuantity={"value": 12.5, **unit}),
        observation("o2", subject={"reference": "Patient/p2"}, effectivePeriod={"start": "2025-02-01", "end": "2025-02-10"}),
        observation("o3", effectiveDateTime="2025-02-10T23:30:00-05:00", valueQuantity={"value": 13, **unit}, status="amended"),
        observation("o4", effectivePeriod={"start": "2025-03"}, identifier=[{"value": "no-system"}], valueString="Überall gut"),
        observation("o5", code={"coding": [{"system": "urn:other", "code": "718-7"}, {"system": LOINC, "code": "8302-2"}]}),
    ):
        made = ask("PUT", f"Observation/{observed['id']}", observed)
        assert made.status == 201, made.body

    def ids(query: str) -> list[str]:
        answer = ask("GET", query)
        assert answer.status == 200, answer.body
        whole = answer.json()
        found = [entry["resource"]["id"] for entry in whole.get("entry", [])]
        assert whole["total"] == len(found)
        return found

    return ids


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Observation?_id=o1,o3", "o1 o3"),
        ("Observation?code=718-7", "o1 o2 o3 o4 o5"),
        (f"Observation?code={LOINC}|718-7", "o1 o2 o3 o4"),
        (f"Observation?code={LOINC}|", "o1 o2 o3 o4 o5"),
        ("Observation?code=urn:other|718-7,8302-2", "o5"),
        ("Observation?code=718-7&code=8302-2", "o5"),
        ("Observation?identifier=|no-system", "o4"),
        ("Observation?identifier=urn:x|no-system", ""),
        ("Observation?status:not=final", "o3"),
        ("Observation?subject=Patient/p1", "o1"),
        ("Observation?subject=p1", "o1"),
        ("Observation?patient=p1,p2", "o1 o2"),
        ("Observation?subject=http://localhost/fhir/Patient/p2", "o2"),
        ("Observation?subject=https://example.org/fhir/Patient/p2", ""),
        ("Observation?subject:Patient=p1", "o1"),
        ("Observation?subject:Group=p1", ""),
        ("Observation?subject:identifier=urn:s|S-1", "o1"),
        ("Observation?date=2025-01", "o1"),
        ("Observation?date=2025-02", "o2 o3"),
        ("Observation?date=2025-02-10", ""),
        ("Observation?date=2025-02-11", "o3"),
        ("Observation?date=ge2025-02-10", "o2 o3 o4"),
        ("Observation?date=gt2025-02-10", "o3 o4"),
        ("Observation?date=lt2025-02-01", "o1"),
        ("Observation?date=le2025-02-01", "o1 o2"),
        ("Observation?date=sa2025-02-01", "o3 o4"),
        ("Observation?date=eb2025-02-11", "o1 o2"),
        ("Observation?date=ne2025-01", "o2 o3 o4"),
        ("Observation?value-quantity=12.5", "o1"),
        ("Observation?value-quantity=13", "o1 o3"),
        ("Observation?value-quantity=13.0", "o3"),
        ("Observation?value-quantity=gt12.5", "o3"),
        ("Observation?value-quantity=le13|http://unitsofmeasure.org|mm", "o1 o3"),
        ("Observation?value-quantity=13||mm", "o1 o3"),
        ("Observation?value-quantity=13||cm", ""),
        ("Observation?value-string=UBER", "o4"),
        ("Observation?value-string:exact=UBER", ""),
        ("Observation?value-string:contains=all", "o4"),
        ("Patient?name=muller", "p1"),
        ("Patient?family:contains=LUDEN", "p1"),
        (r"Patient?given=jo\,hn", "p1"),
        ("Patient?birthdate=1960", "p1"),
        ("Patient?birthdate=1960-05-04", ""),
        ("Patient?active=true", "p1"),
        ("Patient?deceased=true", "p2"),
        ("Patient?deceased=false", "p1"),
        ("Patient?email=a@example.org", "p2"),
        ("Observation?_sort=-_id&code=8302-2,718-7", "o5 o4 o3 o2 o1"),
        ("Observation?_sort=-_lastUpdated", "o5 o4 o3 o2 o1"),
        ("Observation?_lastUpdated=lt2020", ""),
    ],
)
def test_a_search_finds(asked, query, found):
    assert asked(query) == found.split()


@pytest.mark.parametrize(
    "query",
    [
        "foo=1",
        "code:text=x",
        "code:missing=true",
        "subject:Foo=1",
        "subject.name=x",
        "_has:Observation:subject:code=1",
        "_include=Observation:status",
        "code-value-quantity=1",
        "date=ap2020",
        "date=notadate",
        "date=2025-02-30",
        "value-quantity=many",
        "value-quantity=NaN",
        "value-quantity=1|a",
        "code=",
        "code=|",
        "_count=-1",
        "_count=x",
        "_count=1&_count=2",
        "_sort=date",
        "_summary=true",
        "_total=maybe",
        "_page=nonsense",
        "_elements=id",
    ],
)
def test_what_is_not_understood_is_refused(ask, query):
    refused = ask("GET", f"Observation?{query}")
    assert refused.status == 400
    assert refused.json()["resourceType"] == "OperationOutcome"


def test_a_refused_value_is_not_repeated(ask):
    assert b"Smith" not in ask("GET", "Observation?date=AnnSmith").body
    assert b"Smith" not in ask("GET", "Observation?Ann Smith=1").body


def test_a_form_searches_as_a_query_does(ask):
    for number in range(3):
        ask("PUT", f"Patient/p{number}", {"resourceType": "Patient", "id": f"p{number}", "gender": "female" if number else "male"})
    form = "application/x-www-form-urlencoded"
    whole = ask("POST", "Patient/_search?_count=1", b"gender=female", Content_Type=form).json()
    assert (whole["total"], len(whole["entry"])) == (2, 1)
    following = next(link["url"] for link in whole["link"] if link["relation"] == "next")
    assert [e["resource"]["id"] for e in ask("GET", following).json()["entry"]] == ["p2"]


def _walk(ask, url, between=lambda: None):
    found, totals = [], []
    while url:
        whole = ask("GET", url).json()
        found += [(e["resource"]["id"], e["resource"]["meta"]["versionId"]) for e in whole.get("entry", [])]
        totals.append(whole["total"])
        url = next((link["url"] for link in whole["link"] if link["relation"] == "next"), None)
        between()
    return found, totals


@pytest.mark.parametrize("sort", ["", "&_sort=_lastUpdated", "&_sort=-_lastUpdated", "&_sort=_id", "&_sort=-_id"])
def test_pages_are_of_one_moment_whatever_is_written_between_them(ask, sort):
    def put(number: int, gender: str = "female") -> None:
        assert ask("PUT", f"Patient/p{number:03}", {"resourceType": "Patient", "id": f"p{number:03}", "gender": gender}).status < 300

    for number in range(10, 35):
        put(number)
    numbers = iter(range(100))

    def disturb() -> None:
        step = next(numbers)
        put(step)
        put(40 + step)
        put(12 + step, "male")
        ask("DELETE", f"Patient/p{30 - step:03}")

    found, totals = _walk(ask, f"Patient?gender=female&_count=4{sort}", disturb)
    assert sorted(found) == [(f"p{number:03}", "1") for number in range(10, 35)]
    assert set(totals) == {25}


def test_history_pages_are_of_one_moment_and_begin_with_the_newest(ask):
    for turn in range(2):
        for number in range(5):
            ask("PUT", f"Patient/p{number}", {"resourceType": "Patient", "id": f"p{number}", "active": bool(turn)})
    found, totals = _walk(ask, "_history?_count=3", lambda: ask("POST", "Patient", {"resourceType": "Patient"}))
    assert found == [(f"p{number}", version) for version in "21" for number in (4, 3, 2, 1, 0)]
    assert set(totals) == {10}


def test_every_page_has_the_time_of_the_first_so_that_since_misses_nothing():
    moments = iter(dt.datetime(2026, 1, 1, 0, 0, second, tzinfo=dt.UTC) for second in range(60))
    store = Store(":memory:", clock=lambda: next(moments))

    def ask(method: str, url: str, body: bytes | None = None) -> Any:
        return handle(store, Request(method, url, {}, body)).json()

    for _ in range(3):
        ask("POST", "Patient", b'{"resourceType":"Patient"}')
    first = ask("GET", "Patient?_count=2")
    between = ask("POST", "Patient", b'{"resourceType":"Patient"}')["id"]
    second = ask("GET", first["link"][1]["url"])
    assert first["meta"] == second["meta"] == {"lastUpdated": "2026-01-01T00:00:02.000Z"}
    since = ask("GET", f"Patient/_history?_since={second['meta']['lastUpdated']}")
    assert between in [e["resource"]["id"] for e in since["entry"]]
    store.close()


def test_time_never_runs_backwards():
    moments = iter((dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)))
    store = Store(":memory:", clock=lambda: next(moments))
    times = [handle(store, Request("POST", "Patient", {}, b'{"resourceType":"Patient"}')).json()["meta"]["lastUpdated"] for _ in range(2)]
    assert times == ["2026-01-02T00:00:00.000Z"] * 2
    store.close()


def test_since_with_the_time_of_a_bundle_misses_nothing(ask):
    ask("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1"})
    seen = ask("GET", "Patient").json()["meta"]["lastUpdated"]
    ask("PUT", "Patient/p2", {"resourceType": "Patient", "id": "p2"})
    ask("DELETE", "Patient/p1")
    entries = ask("GET", f"Patient/_history?_since={seen}").json()["entry"]
    assert [e["request"]["method"] for e in entries[:2]] == ["DELETE", "PUT"]
    assert ask("GET", f"Patient?_lastUpdated=ge{seen}").json()["total"] == 1
    assert ask("GET", "_history?_since=2099-01-01T00:00:00Z").json()["total"] == 0
    assert ask("GET", "_history?_since=2099").status == 400
    assert ask("GET", "_history?_at=2099").status == 400


def test_count_zero_and_summary_count_give_the_total_alone(ask):
    ask("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1"})
    for control in ("_count=0", "_summary=count"):
        whole = ask("GET", f"Patient?{control}").json()
        assert whole["total"] == 1
        assert "entry" not in whole
    assert "total" not in ask("GET", "Patient?_total=none").json()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024", 366 * 86400),
        ("2024-02", 29 * 86400),
        ("2024-12", 31 * 86400),
        ("2024-02-29", 86400),
        ("2024-02-29T10:30Z", 60),
        ("2024-02-29T10:30:05Z", 1),
    ],
)
def test_a_date_means_all_of_its_precision(text, seconds):
    first, last = span(text)
    assert last - first + 1 == seconds * 1_000_000


def test_a_backslash_keeps_a_separator():
    assert split(r"a\\,b\,c,d", ",") == [r"a\\", r"b\,c", "d"]
