"""Transactions: all entries or none, in FHIR's order, whatever order they stand in.

DELETE first, then the ids of what POST and PUT write are settled, references between entries are put in their place, POST and PUT
are written, GET is answered, and last the integrity of all references is checked (http.html#trules).
"""

from collections import Counter
from typing import Any

from fhir_trial.fhir.http import Request, Response
from fhir_trial.fhir.references import literal
from fhir_trial.store.call import Call, body_response
from fhir_trial.store.entries import Answer, Entry, answered, parse_entries
from fhir_trial.store.refusals import Refusal
from fhir_trial.store.single import conditional_identity, one_match, query_pairs
from fhir_trial.store.trees import reference_texts, replaced
from fhir_trial.store.writer import Writer, check_client_id, check_match, is_conditional, new_id


def transaction(call: Call, whole: dict[str, Any], answer: Answer) -> Response:
    """The transaction-response; a Refusal, and nothing written, when any entry is refused."""
    entries = list(parse_entries(whole, call.base))
    answers: dict[int, dict[str, Any]] = {}
    with call.store.writing() as connection:
        writer = Writer(call, connection)
        for step in (_delete, _settle):
            for entry in entries:
                _guarded(entry, step, call, writer)
        _refuse_overlaps(entries)
        _write_all(call, writer, entries)
        for entry in entries:
            if entry.method in ("GET", "HEAD"):
                response = _guarded(entry, lambda c, w, e: answer(Request(e.method, e.url), w.connection), call, writer)
                answers[entry.number] = answered(response)
        writer.finish()
    with_resource = call.prefers("return=representation")
    listed = [answers.get(entry.number) or entry.answer(with_resource) for entry in entries]
    return body_response(200, {"resourceType": "Bundle", "type": "transaction-response"} | ({"entry": listed} if listed else {}))


def _guarded(entry: Entry, step: Any, call: Call, writer: Writer) -> Any:
    """Run a step on an entry; its refusal says which entry it was."""
    try:
        return step(call, writer, entry)
    except Refusal as refusal:
        raise refusal.at(entry.place) from None


def _delete(call: Call, writer: Writer, entry: Entry) -> None:
    """Delete by id or condition; what is not there is no error in a transaction."""
    if entry.method != "DELETE":
        return
    if entry.path_id is None:
        found = one_match(call, writer, entry.type, entry.query)
    else:
        found = writer.latest(entry.type, entry.path_id)
        check_match(entry.condition("ifMatch"), found)
    entry.status = 204
    if found is not None:
        entry.row, entry.id = writer.delete(found), found.id


def _settle(call: Call, writer: Writer, entry: Entry) -> None:
    """Settle which resource a POST or PUT writes."""
    if entry.method not in ("POST", "PUT"):
        return
    resource = entry.held
    if resource["resourceType"] != entry.type:
        raise Refusal(400, "invalid", "the resource is of another type than the url names")
    if entry.method == "POST":
        _settle_create(call, writer, entry)
    elif entry.path_id is None:
        found = one_match(call, writer, entry.type, entry.query)
        entry.id = conditional_identity(resource, found) or new_id()
    else:
        entry.id = check_client_id(entry.path_id)
        if resource.get("id", entry.id) != entry.id:
            raise Refusal(400, "invalid", "the resource's id is another than the url's")


def _settle_create(call: Call, writer: Writer, entry: Entry) -> None:
    """A new id, or the one match of ifNoneExist, which is then left as it is."""
    if entry.path_id is not None:
        raise Refusal(400, "invalid", "POST goes to a type")
    condition = entry.condition("ifNoneExist")
    entry.row = one_match(call, writer, entry.type, query_pairs(condition)) if condition is not None else None
    entry.id = entry.row.id if entry.row else new_id()


def _refuse_overlaps(entries: list[Entry]) -> None:
    """Refuse two entries for one resource, one condition or one fullUrl: which is meant last would be a guess."""
    written = [e for e in entries if e.id is not None and not (e.method == "POST" and e.row)]
    keys: list[tuple[str, ...]] = [("resource", e.type, str(e.id)) for e in written]
    keys += [("condition", e.type, condition) for e in entries if e.method == "POST" and (condition := e.condition("ifNoneExist"))]
    keys += [("condition", e.url) for e in entries if e.method == "PUT" and e.query]
    keys += [("fullUrl", e.full_url) for e in entries if e.full_url and e.id]
    doubled = [key[0] for key, count in Counter(keys).items() if count > 1]
    if doubled:
        raise Refusal(400, "duplicate", f"two entries have one {doubled[0]}", expression=["Bundle.entry"])


def _new_places(entries: list[Entry]) -> dict[str, str]:
    """What the resources of the Bundle are called in it, and where they will stand."""
    places: dict[str, str] = {}
    for entry in entries:
        if entry.full_url and entry.id and entry.method in ("POST", "PUT"):
            places[entry.full_url] = f"{entry.type}/{entry.id}"
            place = literal(entry.full_url)
            if place and entry.method == "POST":
                places[f"{place.type}/{place.id}"] = f"{entry.type}/{entry.id}"
    return places


def _write_all(call: Call, writer: Writer, entries: list[Entry]) -> None:
    """Write POST then PUT; entries with conditional references wait until what they search for is written."""
    places = _new_places(entries)
    pending = [e for method in ("POST", "PUT") for e in entries if e.method == method and e.row is None]
    for entry in pending:
        entry.resource = replaced(entry.held, lambda name, text: places.get(text, text))
    pending.sort(key=_has_conditions)
    while pending:
        waiting = [entry for entry in pending if not _guarded(entry, _write, call, writer)]
        if len(waiting) == len(pending):
            raise Refusal(400, "not-found", "a conditional reference matches nothing").at(waiting[0].place)
        pending = waiting


def _has_conditions(entry: Entry) -> bool:
    """Whether an entry holds conditional references."""
    return any(is_conditional(text) for _, text in reference_texts(entry.held))


def _write(call: Call, writer: Writer, entry: Entry) -> bool:
    """Write an entry, unless a conditional reference in it matches nothing yet."""
    resource = entry.held
    if _has_conditions(entry):
        found = {text: _resolved(call, writer, text) for _, text in reference_texts(resource) if is_conditional(text)}
        if None in found.values():
            return False
        resource = replaced(resource, lambda name, text: found.get(text) or text if name == "reference" else text)
    if entry.method == "POST":
        entry.row, entry.status = writer.create(resource, entry.id), 201
    else:
        entry.row, created = writer.put(resource, str(entry.id), entry.condition("ifMatch"))
        entry.status = 201 if created else 200
    return True


def _resolved(call: Call, writer: Writer, text: str) -> str | None:
    """The resource that a conditional reference names; 412 when there are several."""
    resource_type, _, query = text.partition("?")
    row = one_match(call, writer, resource_type, query_pairs(query))
    return row.path if row else None
