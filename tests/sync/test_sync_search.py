"""Searches driven without a server: what ends them, and in which words."""

import pytest

from fhir_trial.errors import ServerError
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.fhir.json import encode
from fhir_trial.sync.failures import AnswerError, BadAnswer, Incomplete
from fhir_trial.sync.search import Limits, collect, read_ids, search


def page(*ids: str, then: str | None = None, **more: object) -> dict:
    entries = [{"resource": {"resourceType": "Patient", "id": i}, "search": {"mode": "match"}} for i in ids]
    link = [{"relation": "next", "url": then}] if then else []
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries, "link": link, **more}


def answering(*pages: dict):
    """A server that gives these pages one after another, the last for ever."""
    left = list(pages)

    def send(_: Request) -> Response:
        return Response(200, {}, encode(left.pop(0) if len(left) > 1 else left[0]))

    return send


def ids(*pages: dict) -> list[str]:
    return [row["id"] for row in run(collect("Patient", []), answering(*pages))]


def test_pages_in_order():
    assert ids(page("a", "b", then="?p=2", total=3), page("c", total=3)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ((page("a", then="Patient?_count=200"),), "in a circle"),
        ((page(then="?p=2"), page(then="?p=2")), "in a circle"),
        ((page("a", then="?p=2"), page("a")), "a row came twice"),
        ((page("a", total=2),), "1 rows came of 2"),
        ((page("a", "b", total=1),), "more rows than the total stated"),
        ((page("a", then="?p=2", total=2), page("b", "c", total=3)), "more rows than the total stated"),
        ((page("a", then="   "),), "is no URL"),
    ],
)
def test_what_cannot_be_shown_to_be_whole(pages: tuple, words: str):
    with pytest.raises(Incomplete, match=words):
        ids(*pages)


@pytest.mark.parametrize(
    ("limits", "rows", "words"),
    [(Limits(pages_without_total=3), True, "no end after 3 pages"), (Limits(empty_pages=2), False, "page after page without a row")],
)
def test_pages_that_never_end(limits: Limits, rows: bool, words: str):
    sent = []

    def send(request: Request) -> Response:
        sent.append(request)
        return Response(200, {}, encode(page(*[f"r{len(sent)}"] * rows, then=f"?p={len(sent)}")))

    with pytest.raises(Incomplete, match=words):
        run(search("Patient", [], lambda *_: None, limits), send)
    assert len(sent) == 3


def test_a_total_lifts_the_limit_of_pages():
    pages = [page(f"r{n}", total=5, **({"then": f"?p={n}"} if n < 4 else {})) for n in range(5)]
    assert run(search("Patient", [], lambda *_: None, Limits(pages_without_total=2)), answering(*pages)).rows == 5


def test_a_broken_page_is_asked_for_again_and_then_given_up():
    sent = []

    def send(request: Request) -> Response:
        sent.append(request)
        return Response(200, {}, b'{"resourceType":"Bund' if len(sent) < 3 else encode(page("a")))

    assert [row["id"] for row in run(collect("Patient", []), send)] == ["a"]
    with pytest.raises(BadAnswer, match="the answer is not json"):
        run(collect("Patient", []), lambda _: Response(200, {}, b"{"))
    with pytest.raises(BadAnswer, match="the answer is empty"):
        run(collect("Patient", []), lambda _: Response(200))
    with pytest.raises(BadAnswer, match="the answer is no Bundle"):
        run(collect("Patient", []), lambda _: Response(200, {}, b'{"resourceType":"Patient"}'))
    with pytest.raises(AnswerError, match="400"):
        run(collect("Patient", []), lambda _: Response(400))


def test_searches_are_never_answered_from_a_memory():
    asked = []
    run(collect("Patient", [("identifier", "s|1")]), lambda request: asked.append(request) or Response(200, {}, encode(page())))
    assert asked[0].header("Cache-Control") == "no-cache"
    assert asked[0].url == "Patient?identifier=s%7C1&_count=200"


def test_included_rows_and_warnings_are_findings_and_no_rows():
    included = {"resource": {"resourceType": "Group", "id": "g"}, "search": {"mode": "include"}}
    warning = {"resource": {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}}
    whole = page("a", total=1)
    whole["entry"] += [included, warning]
    found = run(search("Patient", [], lambda *_: None), answering(whole))
    assert (found.rows, [f.code for f in found.findings]) == (1, ["included-row", "server-message"])


def test_ids_are_read_fifty_at_a_time_and_no_others_taken():
    asked = []

    def send(request: Request) -> Response:
        wanted = request.url.partition("_id=")[2].partition("&")[0].split(",")
        asked.append(len(wanted))
        return Response(200, {}, encode(page(*wanted)))

    assert len(run(read_ids("Patient", [f"p{n}" for n in range(120)]), send)) == 120
    assert asked == [50, 50, 20]
    with pytest.raises(ServerError, match="does not search by _id"):
        run(read_ids("Patient", ["a"]), answering(page("someone-else")))
