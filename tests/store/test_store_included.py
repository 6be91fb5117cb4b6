"""What a search brings along: each resource once, after the matches, as of the page's moment."""

from typing import Any

import pytest


@pytest.fixture
def trial(ask):
    ask("PUT", "ResearchStudy/s", {"resourceType": "ResearchStudy", "id": "s", "status": "active"})
    for name in ("a", "b"):
        ask("PUT", f"Patient/{name}", {"resourceType": "Patient", "id": name})
        person, study = {"reference": f"Patient/{name}"}, {"reference": "ResearchStudy/s"}
        subject = {"resourceType": "ResearchSubject", "id": f"r{name}", "status": "on-study", "study": study, "individual": person}
        assert ask("PUT", f"ResearchSubject/r{name}", subject).status == 201
    return ask


def entries(answer) -> list[tuple[str, str]]:
    listed: list[Any] = answer.json().get("entry", [])
    return [(entry["resource"]["id"], entry["search"]["mode"]) for entry in listed]


MATCHES = [("ra", "match"), ("rb", "match")]


@pytest.mark.parametrize(
    ("query", "brought"),
    [
        ("_include=ResearchSubject:study", ["s"]),
        ("_include=ResearchSubject:study&_include=ResearchSubject:patient", ["s", "a", "b"]),
        ("_include=ResearchSubject:individual:Patient", ["a", "b"]),
        ("_include=ResearchSubject:individual:Group", []),
        ("_include=Observation:subject", []),
    ],
)
def test_what_matches_refer_to_comes_once_behind_them(trial, query, brought):
    found = trial("GET", f"ResearchSubject?study=s&{query}")
    assert entries(found) == [*MATCHES, *((name, "include") for name in brought)]
    assert found.json()["total"] == 2


@pytest.mark.parametrize(
    ("query", "brought"),
    [
        ("_revinclude=ResearchSubject:study", ["ra", "rb"]),
        ("_revinclude=ResearchSubject:study:ResearchStudy", ["ra", "rb"]),
        ("_revinclude=ResearchSubject:study:Patient", []),
        ("_revinclude=ResearchSubject:individual", []),
    ],
)
def test_what_refers_to_the_matches_comes_along(trial, query, brought):
    assert entries(trial("GET", f"ResearchStudy?_id=s&{query}")) == [("s", "match"), *((name, "include") for name in brought)]


def test_a_following_page_brings_what_was_there_at_the_first(trial):
    first = trial("GET", "ResearchSubject?study=s&_count=1&_include=ResearchSubject:individual")
    assert entries(first) == [("ra", "match"), ("a", "include")]
    (following,) = [link["url"] for link in first.json()["link"] if link["relation"] == "next"]
    trial("PUT", "Patient/b", {"resourceType": "Patient", "id": "b", "active": True})
    second = trial("GET", following)
    assert entries(second) == [("rb", "match"), ("b", "include")]
    assert second.json()["entry"][1]["resource"]["meta"]["versionId"] == "1"


def test_the_deleted_does_not_come_along(trial):
    trial("DELETE", "ResearchSubject/rb")
    assert entries(trial("GET", "ResearchStudy?_id=s&_revinclude=ResearchSubject:study")) == [("s", "match"), ("ra", "include")]


@pytest.mark.parametrize("query", ["_include:iterate=ResearchSubject:study", "_include=*", "_include=ResearchSubject", "_revinclude=X:y"])
def test_what_is_not_understood_is_refused(trial, query):
    assert trial("GET", f"ResearchSubject?study=s&{query}").status == 400
