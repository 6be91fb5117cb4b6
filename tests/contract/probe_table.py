"""The contract of a FHIR server as a table: what is asked, and what a server that does it answers.

Written after the list by which a real HAPI server was probed. Every row asks through `World`, needs no other row, and can be asked of any
server of the version. What the embedded store does not do stands in `embedded.csv` with the status of its refusal.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.fhir import json
from fhir_trial.fhir.http import Request, Response

Resource = dict[str, Any]
PARTIES = ("Patient", "ResearchStudy", "ResearchSubject", "MedicationAdministration", "Observation", "AdverseEvent")


def sample(release: str, tag: str, at: Mapping[str, str]) -> dict[str, Resource]:
    """One small trial; `at` says by which reference each resource is reached."""
    patient, study = {"reference": at["Patient"]}, {"reference": at["ResearchStudy"]}
    name = {kind: [{"system": f"urn:probe:{kind}", "value": tag}] for kind in PARTIES}
    plan = {"resourceType": "ResearchStudy", "identifier": name["ResearchStudy"], "status": "active", "title": "T"}
    person = {"resourceType": "Patient", "identifier": name["Patient"], "gender": "female"}
    subject = {"resourceType": "ResearchSubject", "identifier": name["ResearchSubject"], "study": study}
    dose = {
        "resourceType": "MedicationAdministration",
        "identifier": name["MedicationAdministration"],
        "status": "completed",
        "subject": patient,
    }
    amount = {"dose": {"value": 5, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}
    event = {"resourceType": "AdverseEvent", "actuality": "actual", "subject": patient, "study": [study]}
    value = {"value": 12.1, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"}
    code = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}
    seen = {"resourceType": "Observation", "identifier": name["Observation"], "status": "final", "code": code, "subject": patient}
    seen |= {"effectiveDateTime": "2025-01-01T10:00:00Z", "valueQuantity": value}
    if release == "r4":
        subject |= {"status": "on-study", "individual": patient}
        dose |= {"medicationCodeableConcept": {"text": "drug"}, "effectiveDateTime": "2025-01-01", "dosage": amount}
        event |= {"identifier": name["AdverseEvent"][0], "date": "2025-01-02", "event": {"text": "nausea"}}
    else:
        subject |= {"status": "active", "subject": patient}
        dose |= {"medication": {"concept": {"text": "drug"}}, "occurenceDateTime": "2025-01-01", "dosage": amount}
        event |= {"identifier": name["AdverseEvent"], "status": "completed", "code": {"text": "nausea"}, "occurrenceDateTime": "2025-01-02"}
    return {r["resourceType"]: r for r in (person, plan, subject, dose, seen, event)}


@dataclass
class World:
    """A server with one small trial on it, and how to ask it."""

    release: str
    send: Callable[[Request], Response]
    tag: str = field(default_factory=lambda: f"S1-{uuid.uuid4().hex[:8]}")
    ids: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, url: str, body: Any = None, **headers: str) -> Response:
        named = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else None if body is None else json.encode(body)
        return self.send(Request(method, url, named, data))

    def trial(self, tag: str | None = None) -> dict[str, Resource]:
        """The trial's resources, referring to what is on the server."""
        return sample(self.release, tag or self.tag, {kind: f"{kind}/{self.ids.get(kind, 'none')}" for kind in PARTIES})

    def transaction(self, tag: str | None = None) -> Resource:
        """The trial as one repeatable transaction; R4's AdverseEvent cannot be found by identifier, so it goes by PUT."""
        urls = {kind: f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{tag or self.tag}/{kind}')}" for kind in PARTIES}
        entries = []
        for kind, resource in sample(self.release, tag or self.tag, urls).items():
            query = f"identifier=urn:probe:{kind}|{tag or self.tag}"
            request = {"method": "POST", "url": kind, "ifNoneExist": query}
            if kind == "Observation":
                request = {"method": "PUT", "url": f"{kind}?{query}"}
            if kind == "AdverseEvent":
                request = {"method": "PUT", "url": f"{kind}/{urls[kind].removeprefix('urn:uuid:')}"}
                resource["id"] = urls[kind].removeprefix("urn:uuid:")
            entries.append({"fullUrl": urls[kind], "resource": resource, "request": request})
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    def settle(self) -> None:
        """Put the trial on the server and note the ids."""
        answer = self.ask("POST", "", self.transaction())
        assert answer.status == 200, answer.body[:2000]
        for entry in answer.json()["entry"]:
            kind, identity = entry["response"]["location"].split("/_history/")[0].split("/")[-2:]
            self.ids[kind] = identity

    def new(self, kind: str = "Observation") -> tuple[Resource, str]:
        """A fresh resource on the server, with its ETag."""
        answer = self.ask("POST", kind, self.trial(f"{self.tag}-{uuid.uuid4().hex[:6]}")[kind])
        assert answer.status == 201, answer.body[:500]
        return answer.json(), answer.header("ETag") or ""


@dataclass(frozen=True)
class Probe:
    """One row: the question, the statuses that a server which does it may answer, and what else must hold then."""

    name: str
    ask: Callable[[World], Response]
    statuses: tuple[int, ...] = (200,)
    holds: Callable[[World, Response], bool] = lambda world, answer: True


PROBES: list[Probe] = []


def probe(name: str, *statuses: int, holds: Callable[[World, Response], bool] = lambda world, answer: True) -> Callable[..., Any]:
    def enter(ask: Callable[[World], Response]) -> Callable[[World], Response]:
        PROBES.append(Probe(name, ask, statuses or (200,), holds))
        return ask

    return enter


def search(name: str, url: str, *statuses: int, total: int | None = None, at_least: int | None = None) -> None:
    """A row that asks one url; {tag} and {Type} stand for the trial's tag and ids."""

    def holds(world: World, answer: Response) -> bool:
        found = answer.json().get("total") if answer.status == 200 else None
        return (total is None or found == total) and (at_least is None or (found or 0) >= at_least)

    PROBES.append(Probe(name, lambda world: world.ask("GET", url.format(tag=world.tag, **world.ids)), statuses or (200,), holds))


def identity(kind: str, tag: str = "{tag}") -> str:
    return f"identifier=urn:probe:{kind}|{tag}"


def _bundle(*entries: Resource) -> Resource:
    listed = [{"fullUrl": f"urn:uuid:{uuid.uuid4()}", **entry} for entry in entries]
    return {"resourceType": "Bundle", "type": "transaction", "entry": listed}


probe("metadata", holds=lambda w, r: r.json()["resourceType"] == "CapabilityStatement")(lambda w: w.ask("GET", "metadata"))
search("read", "ResearchSubject/{ResearchSubject}")
search("read unknown", "ResearchSubject/no-such-one", 404)
search("unknown type", "NoSuchType/1", 404)
search("search identifier", "ResearchStudy?" + identity("ResearchStudy"), total=1)
search("search by study", "ResearchSubject?study=ResearchStudy/{ResearchStudy}", total=1)
search("search AdverseEvent by subject", "AdverseEvent?subject=Patient/{Patient}", total=1)
search(
    "search by code, date, sorted by time",
    "Observation?code=http://loinc.org|718-7&date=ge2025-01-01&_sort=-_lastUpdated&_count=5",
    at_least=1,
)
search("search date that is later", "Observation?date=gt2025-01-02&subject=Patient/{Patient}", total=0)
search("search quantity", "Observation?value-quantity=gt12||g/dL&subject=Patient/{Patient}", at_least=1)
search("search _sort by date", "Observation?subject=Patient/{Patient}&_sort=-date", at_least=1)
search("_include", "ResearchSubject?study=ResearchStudy/{ResearchStudy}&_include=ResearchSubject:study", at_least=1)
search("_revinclude", "ResearchStudy?_id={ResearchStudy}&_revinclude=AdverseEvent:study", at_least=1)
search("_has", "Patient?_has:ResearchSubject:patient:study=ResearchStudy/{ResearchStudy}", at_least=1)
search("chained search", "Observation?subject:Patient.gender=female&_summary=count", at_least=1)
search("_summary=count", "Observation?_summary=count", at_least=1)
search("_elements", "Observation?_elements=status")
search("unknown parameter", "Observation?foo=bar", 400)
search("_lastUpdated far away", "Observation?_lastUpdated=gt2099-01-01&_summary=count", total=0)
search("patient of MedicationAdministration", "MedicationAdministration?patient=Patient/{Patient}", total=1)
search("instance history", "Observation/{Observation}/_history", at_least=1)
search("vread", "Observation/{Observation}/_history/1")
search("$everything", "Patient/{Patient}/$everything")


@probe("POST _search", holds=lambda w, r: r.json()["total"] == 1)
def _(w: World) -> Response:
    return w.ask(
        "POST", "ResearchStudy/_search", identity("ResearchStudy", w.tag).encode(), Content_Type="application/x-www-form-urlencoded"
    )


@probe("transaction twice", holds=lambda w, r: all(e["response"]["status"].startswith("200") for e in r.json()["entry"]))
def _(w: World) -> Response:
    return w.ask("POST", "", w.transaction())


@probe("urn references become ids", holds=lambda w, r: r.json()["study"]["reference"] == f"ResearchStudy/{w.ids['ResearchStudy']}")
def _(w: World) -> Response:
    return w.ask("GET", f"ResearchSubject/{w.ids['ResearchSubject']}")


@probe("batch", holds=lambda w, r: all(e["response"]["status"].startswith("201") for e in r.json()["entry"]))
def _(w: World) -> Response:
    sampled = [w.trial(f"{w.tag}-b{number}")["Observation"] for number in range(3)]
    entries = [{"resource": resource, "request": {"method": "POST", "url": "Observation"}} for resource in sampled]
    return w.ask("POST", "", _bundle(*entries) | {"type": "batch"})


def _pages(w: World, answer: Response) -> bool:
    seen: list[str] = []
    while True:
        whole = answer.json()
        seen += [entry["resource"]["id"] for entry in whole.get("entry", [])]
        following = [link["url"] for link in whole["link"] if link["relation"] == "next"]
        if not following:
            return len(seen) == len(set(seen)) == 25
        answer = w.ask("GET", following[0])


@probe("paging", holds=_pages)
def _(w: World) -> Response:
    tag = f"p{uuid.uuid4().hex[:6]}"
    sampled = w.trial()["Observation"] | {"method": {"coding": [{"system": "urn:m", "code": tag}]}}
    entries = [{"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": sampled, "request": {"method": "POST", "url": "Observation"}}] * 1
    entries = [entry | {"fullUrl": f"urn:uuid:{uuid.uuid4()}"} for entry in entries for _ in range(25)]
    assert w.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 200
    return w.ask("GET", f"Observation?method=urn:m|{tag}&_count=10")


def _since(w: World) -> str:
    return str(w.ask("GET", f"Observation/{w.ids['Observation']}").json()["meta"]["lastUpdated"]).replace("+", "%2B")


@probe("_lastUpdated=ge", holds=lambda w, r: r.json()["total"] >= 1)
def _(w: World) -> Response:
    return w.ask("GET", f"Observation?_lastUpdated=ge{_since(w)}&_summary=count")


@probe("system history since", holds=lambda w, r: len(r.json()["entry"]) >= 1)
def _(w: World) -> Response:
    return w.ask("GET", f"_history?_since={_since(w)}&_count=50")


@probe("type history since", holds=lambda w, r: len(r.json()["entry"]) >= 1)
def _(w: World) -> Response:
    return w.ask("GET", f"Observation/_history?_since={_since(w)}")


@probe("If-None-Match read", 304)
def _(w: World) -> Response:
    held, etag = w.new()
    return w.ask("GET", f"Observation/{held['id']}", If_None_Match=etag)


@probe("PUT with If-Match", holds=lambda w, r: r.header("ETag") == 'W/"2"')
def _(w: World) -> Response:
    held, etag = w.new()
    return w.ask("PUT", f"Observation/{held['id']}", held | {"status": "amended"}, If_Match=etag)


@probe("PUT with a stale If-Match", 409)
def _(w: World) -> Response:
    held, etag = w.new()
    w.ask("PUT", f"Observation/{held['id']}", held | {"status": "amended"}, If_Match=etag)
    return w.ask("PUT", f"Observation/{held['id']}", held | {"status": "corrected"}, If_Match=etag)


@probe("identical PUT", holds=lambda w, r: r.header("ETag") == 'W/"1"')
def _(w: World) -> Response:
    held, _etag = w.new()
    return w.ask("PUT", f"Observation/{held['id']}", held)


@probe("PUT to a client's id", 201)
def _(w: World) -> Response:
    identity = f"trial-{uuid.uuid4().hex[:8]}"
    return w.ask("PUT", f"Patient/{identity}", {"resourceType": "Patient", "id": identity, "active": True})


@probe("PUT to a numeric id", 400)
def _(w: World) -> Response:
    return w.ask("PUT", "Patient/999999", {"resourceType": "Patient", "id": "999999"})


@probe("PUT whose id is another than the url's", 400)
def _(w: World) -> Response:
    return w.ask("PUT", "Patient/one-id", {"resourceType": "Patient", "id": "another-id"})


@probe("conditional create of what exists", holds=lambda w, r: r.json()["id"] == w.ids["Patient"])
def _(w: World) -> Response:
    return w.ask("POST", "Patient", w.trial()["Patient"], If_None_Exist=identity("Patient", w.tag), Prefer="return=representation")


@probe("conditional update", holds=lambda w, r: r.json()["id"] == w.ids["Patient"])
def _(w: World) -> Response:
    return w.ask("PUT", f"Patient?{identity('Patient', w.tag)}", w.trial()["Patient"] | {"active": True}, Prefer="return=representation")


def _double(w: World) -> str:
    tag = f"double-{uuid.uuid4().hex[:6]}"
    for _ in range(2):
        assert w.ask("POST", "Patient", w.trial(tag)["Patient"]).status == 201
    return tag


@probe("conditional create, two matches", 412)
def _(w: World) -> Response:
    tag = _double(w)
    return w.ask("POST", "Patient", w.trial(tag)["Patient"], If_None_Exist=identity("Patient", tag))


@probe("conditional update, two matches", 412)
def _(w: World) -> Response:
    tag = _double(w)
    return w.ask("PUT", f"Patient?{identity('Patient', tag)}", w.trial(tag)["Patient"])


@probe("transaction with a stale ifMatch", 409)
def _(w: World) -> Response:
    held, etag = w.new()
    w.ask("PUT", f"Observation/{held['id']}", held | {"status": "amended"})
    request = {"method": "PUT", "url": f"Observation/{held['id']}", "ifMatch": etag}
    return w.ask("POST", "", _bundle({"resource": held | {"status": "corrected"}, "request": request}))


def _nothing_kept(w: World, answer: Response) -> bool:
    return bool(w.ask("GET", f"Patient?{identity('Patient', 'roll' + w.tag)}").json()["total"] == 0)


@probe("transaction with a dangling reference", 400, holds=_nothing_kept)
def _(w: World) -> Response:
    dangling = w.trial()["Observation"] | {"subject": {"reference": "Patient/nope-nope"}}
    return w.ask(
        "POST",
        "",
        _bundle(
            {"resource": w.trial("roll" + w.tag)["Patient"], "request": {"method": "POST", "url": "Patient"}},
            {"resource": dangling, "request": {"method": "POST", "url": "Observation"}},
        ),
    )


@probe("JSON Patch")
def _(w: World) -> Response:
    held, _etag = w.new()
    change = [{"op": "replace", "path": "/status", "value": "amended"}]
    return w.ask("PATCH", f"Observation/{held['id']}", change, Content_Type="application/json-patch+json")


@probe("FHIRPath Patch")
def _(w: World) -> Response:
    held, _etag = w.new()
    parts = [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.status"}]
    operation = {"name": "operation", "part": [*parts, {"name": "value", "valueCode": "corrected"}]}
    return w.ask("PATCH", f"Observation/{held['id']}", {"resourceType": "Parameters", "parameter": [operation]})


@probe("$validate", 200)
def _(w: World) -> Response:
    return w.ask("POST", "ResearchSubject/$validate", w.trial()["ResearchSubject"])


@probe("create with a bad code", 422, 400)
def _(w: World) -> Response:
    return w.ask("POST", "ResearchSubject", w.trial()["ResearchSubject"] | {"status": "wrong"})


@probe("create with an unknown element", 422, 400)
def _(w: World) -> Response:
    return w.ask("POST", "Patient", {"resourceType": "Patient", "bogus": 1})


# HAPI with validation on stumbles over it: 500.
@probe("create with broken JSON", 400, 500)
def _(w: World) -> Response:
    return w.ask("POST", "Patient", b'{"resourceType":"Patient"')


@probe("MeasureReport", 201)
def _(w: World) -> Response:
    report = {"resourceType": "MeasureReport", "status": "complete", "type": "summary", "measure": "http://example.org/Measure/1"}
    return w.ask("POST", "MeasureReport", report | {"period": {"start": "2025-01-01", "end": "2025-02-01"}})


@probe("Provenance of a version", 201)
def _(w: World) -> Response:
    target = [{"reference": f"Observation/{w.ids['Observation']}/_history/1"}]
    agent = [{"who": {"reference": f"Patient/{w.ids['Patient']}"}}]
    return w.ask("POST", "Provenance", {"resourceType": "Provenance", "target": target, "recorded": "2025-01-01T00:00:00Z", "agent": agent})


@probe("$export", 202)
def _(w: World) -> Response:
    return w.ask("GET", "$export?_type=Patient", Prefer="respond-async")


@probe("DELETE", 200, 204)
def _(w: World) -> Response:
    held, _etag = w.new()
    return w.ask("DELETE", f"Observation/{held['id']}")


@probe("read of the deleted", 410)
def _(w: World) -> Response:
    held, _etag = w.new()
    w.ask("DELETE", f"Observation/{held['id']}")
    return w.ask("GET", f"Observation/{held['id']}")


@probe("DELETE of what others refer to", 409)
def _(w: World) -> Response:
    return w.ask("DELETE", f"Patient/{w.ids['Patient']}")
