"""Random views over random resources agree with an interpreter written plainly, over plain dicts, with no types and no compiling."""

from typing import Any

from frames_interpreter import CONSTANTS, interpret
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_trial.errors import Findings
from fhir_trial.fhir.json import decode, encode
from fhir_trial.frames import run_view

# --- random resources ------------------------------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(["a", "b", "official", "Ä ö", "", "=1", "x" * 50])
URLS = st.sampled_from(["http://e.org/a", "http://e.org/b"])


def some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


def up_to(number: int, part: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(part, min_size=1, max_size=number)


EXTENSION = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"url": URLS, "valueString": TEXTS}),
        st.fixed_dictionaries({"url": URLS, "valueDecimal": st.decimals(-1000, 1000, places=2)}),
    ),
    lambda inner: st.fixed_dictionaries({"url": URLS, "extension": up_to(2, inner)}),
    max_leaves=4,
)
REFERENCE = st.one_of(
    some(reference=st.sampled_from(["Organization/o1", "Practitioner/p1", "#c"]), display=TEXTS),
    st.fixed_dictionaries({"reference": st.just("urn:uuid:1"), "type": st.sampled_from(["Practitioner", "Organization"])}),
)
NAME = some(use=st.sampled_from(["official", "usual"]), family=TEXTS, given=up_to(3, TEXTS), period=some(start=st.just("2020-01")))
GAPPED = st.just(
    {"family": "gap", "given": [None, "b"], "_given": [{"extension": [{"url": "http://e.org/a", "valueString": "why"}]}, None]}
)
TELECOM = some(system=st.sampled_from(["phone", "email"]), value=TEXTS, rank=st.integers(1, 9))
PATIENT = some(
    id=st.sampled_from(["p1", "p2"]),
    active=st.booleans(),
    name=up_to(3, st.one_of(NAME, GAPPED)),
    telecom=up_to(2, TELECOM),
    birthDate=st.sampled_from(["1950", "1950-02-03"]),
    _birthDate=st.fixed_dictionaries({"extension": up_to(2, EXTENSION)}),
    deceasedBoolean=st.booleans(),
    deceasedDateTime=st.just("2020-01-01T10:00:00Z"),
    extension=up_to(3, EXTENSION),
    managingOrganization=REFERENCE,
    generalPractitioner=up_to(2, REFERENCE),
    contact=up_to(2, some(name=NAME, telecom=up_to(2, TELECOM), gender=st.just("female"))),
    maritalStatus=some(text=TEXTS, coding=up_to(2, some(system=URLS, code=TEXTS))),
    photo=up_to(1, some(size=st.integers(0, 9))),
).map(lambda resource: {"resourceType": "Patient", **resource})
ITEM = st.recursive(
    some(linkId=TEXTS, text=TEXTS, _linkId=st.fixed_dictionaries({"extension": up_to(1, EXTENSION)})),
    lambda inner: some(
        linkId=TEXTS,
        item=up_to(2, inner),
        answer=up_to(
            2, st.one_of(some(valueString=TEXTS, item=up_to(2, inner)), some(valueInteger=st.integers(0, 9), item=up_to(1, inner)))
        ),
    ),
    max_leaves=5,
)
RESPONSE = some(id=st.just("r1"), status=st.sampled_from(["completed", "amended"]), item=up_to(3, ITEM)).map(
    lambda resource: {"resourceType": "QuestionnaireResponse", **resource}
)
OTHER = st.just({"resourceType": "Device", "id": "d1", "name": "not a list"})
RESOURCES = {
    "Patient": st.lists(st.one_of(PATIENT, OTHER), max_size=4),
    "QuestionnaireResponse": st.lists(st.one_of(RESPONSE, OTHER), max_size=3),
}

# --- random views ----------------------------------------------------------------------------------------------------------------------

COLUMNS = {
    "Patient": """
        id; active; birthDate; name.family; name.first().family; name.given; name.where(use = 'official').family; %rowIndex; 'constant'
        name.where(use = %official).given.first(); name.exists(use = 'usual'); name.given.first(); name.last().given.last(); %official
        name[1].family; name.where(use != %official).count(); name.where(use = 'usual' and family = 'a').given
        birthDate.extension('http://e.org/a').value.ofType(string); birthDate.extension.url.first(); birthDate.exists(); birthDate.empty()
        deceased.ofType(boolean); deceased.ofType(dateTime); active.not(); active = true and name.exists()
        active or deceased.ofType(boolean)
        extension('http://e.org/a').value.ofType(decimal); extension('http://e.org/b').first().value.ofType(string)
        extension(%url).exists()
        extension.extension('http://e.org/a').value.ofType(string); managingOrganization.reference; managingOrganization.getReferenceKey()
        managingOrganization.getReferenceKey(Organization); generalPractitioner.getReferenceKey(Practitioner); getResourceKey()
        generalPractitioner.getReferenceKey(); generalPractitioner.first().getReferenceKey(Organization); generalPractitioner.reference
        contact.name.family; contact.where(gender = 'female').count(); contact.telecom.value.first(); telecom.where(rank > %limit).value
        telecom.count(); telecom.where(system = 'phone').value.first(); telecom.rank; maritalStatus.text; photo.size; %rowIndex = 0
        maritalStatus.coding.where(system = 'http://e.org/a').code; maritalStatus.coding.where(system = %url).code.first()
        maritalStatus.coding.first().code; name.given | contact.name.given""",
    "name": """
        family; use; given; given.first(); given.join(','); period.start; given[0]; given.count(); given.last(); %rowIndex; use = %official
        given.exists(); $this.family; given.extension('http://e.org/a').value.ofType(string)""",
    "telecom": "system; value; rank; value.exists(); %rowIndex; $this.system; system = 'phone'; rank > %limit; rank <= 3; rank != 4",
    "contact": "name.family; gender; name.given.first(); telecom.value.first(); %rowIndex; telecom.exists(); telecom.where(rank > 3).value",
    "extension": """
        url; value.ofType(string); value.ofType(decimal); %rowIndex; extension.url; extension('http://e.org/b').value.ofType(string)
        url = %url; extension.count()""",
    "item": """
        linkId; text; %rowIndex; answer.value.ofType(string); answer.value.ofType(integer).first(); item.linkId; item.count()
        answer.item.linkId.first(); answer.exists(); linkId.extension('http://e.org/a').value.ofType(string)""",
    "answer": "value.ofType(string); value.ofType(integer); %rowIndex; item.linkId; item.exists(); value.ofType(boolean)",
    "QuestionnaireResponse": """
        id; status; %rowIndex; item.linkId; item.answer.value.ofType(integer); item.first().text; %limit; item.exists()""",
}
"""What a view may read of each kind of item."""
STEPS = {
    "Patient": {
        "name": ["name", "contact.name", "name.where(use = 'official')", "name.first()", "$this.name"],
        "telecom": ["telecom", "contact.telecom", "telecom.where(rank > %limit)"],
        "contact": ["contact", "contact.where(gender = 'female')"],
        "extension": ["extension", "extension(%url)", "birthDate.extension"],
    },
    "contact": {"telecom": ["telecom", "telecom.first()"], "name": ["name"]},
    "name": {"extension": ["given.extension"]},
    "extension": {"extension": ["extension", "extension.where(url = %url)"]},
    "QuestionnaireResponse": {"item": ["item", "item.item", "item.answer.item"], "answer": ["item.answer"]},
    "item": {"item": ["item", "answer.item"], "answer": ["answer"]},
    "answer": {"item": ["item"]},
}
"""Which paths lead from one kind of item to another."""
REPEATS = {
    "Patient": ("extension", [["extension"], ["extension", "birthDate.extension"]]),
    "extension": ("extension", [["extension"]]),
    "QuestionnaireResponse": ("item", [["item"], ["item", "answer.item"]]),
    "item": ("item", [["item", "answer.item"], ["answer.item"]]),
}
"""Which paths may be followed again and again, and what they find."""
WHERE = {
    "Patient": ["active", "name.exists()", "birthDate.exists() and name.empty()", "name.where(use = %official).exists()", "active = false"],
    "QuestionnaireResponse": ["status = 'completed'", "item.exists()", "item.answer.exists() or item.empty()"],
}


def columns_for(context: str) -> st.SearchStrategy[list[str]]:
    known = [path.strip() for line in COLUMNS[context].splitlines() for path in line.split(";") if path.strip()]
    return st.lists(st.sampled_from(known), min_size=1, max_size=4)


@st.composite
def steps(draw: st.DrawFn, context: str) -> tuple[str, dict[str, Any]]:
    """A way from one kind of item to another, or none."""
    ways = ["here", *(["forEach", "forEachOrNull"] if context in STEPS else []), *(["repeat"] if context in REPEATS else [])]
    way = draw(st.sampled_from(ways))
    if way == "here":
        return context, {}
    if way == "repeat":
        target, paths = REPEATS[context]
        return target, {"repeat": draw(st.sampled_from(paths))}
    target = draw(st.sampled_from(sorted(STEPS[context])))
    return target, {way: draw(st.sampled_from(STEPS[context][target]))}


@st.composite
def selects(draw: st.DrawFn, context: str, depth: int = 2) -> dict[str, Any]:
    context, select = draw(steps(context)) if depth else (context, {})
    select["column"] = [{"name": "c", "path": path, "collection": draw(st.booleans())} for path in draw(columns_for(context))]
    if depth and draw(st.booleans()):
        select["select"] = draw(st.lists(selects(context, depth - 1), min_size=1, max_size=2))
    if depth and draw(st.booleans()):
        select["unionAll"] = draw(unions(context, depth))
    return select


@st.composite
def unions(draw: st.DrawFn, context: str, depth: int) -> list[dict[str, Any]]:
    """Branches of the same columns, read of one kind of item to which several ways lead; one may be a union itself."""
    target, _ = draw(steps(context))
    columns = [{"name": f"u{i}", "path": path, "collection": True} for i, path in enumerate(draw(columns_for(target)))]
    ways: list[dict[str, Any]] = [{}] if target == context else []
    ways += [{each: path} for path in STEPS.get(context, {}).get(target, []) for each in ("forEach", "forEachOrNull")]
    ways += [{"repeat": path} for path in REPEATS.get(context, ("", []))[1] if REPEATS[context][0] == target]
    branches = [{**way, "column": columns} for way in draw(st.lists(st.sampled_from(ways), min_size=1, max_size=3))]
    if depth > 1 and draw(st.booleans()):
        branches.append({"unionAll": branches[:1]})
    return branches


def named(selects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Column names made unique; a union's branches share theirs."""
    number = iter(range(10_000))

    def name(select: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        columns = [{**each, "name": f"{prefix}{each['name']}" if prefix else f"c{next(number)}"} for each in select.get("column", [])]
        inner = [name(each) for each in select.get("select", [])]
        inherited = prefix or f"n{next(number)}_"
        branches = [name(each, inherited) for each in select.get("unionAll", [])]
        members = {"column": columns, "select": inner, "unionAll": branches}
        return {**select, **{key: value for key, value in members.items() if key in select}}

    return [name(select) for select in selects]


CONSTANT = [{"name": name, ("valueInteger" if isinstance(value, int) else "valueString"): value} for name, value in CONSTANTS.items()]


def views(resource: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda chosen, where: {
            "resource": resource,
            "constant": CONSTANT,
            "select": named(chosen),
            "where": [{"path": path} for path in where],
        },
        st.lists(selects(resource), min_size=1, max_size=3),
        st.lists(st.sampled_from(WHERE[resource]), max_size=1),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), as_text=st.booleans(), kind=st.sampled_from(sorted(RESOURCES)))
def test_views_agree_with_the_plain_interpreter(data: st.DataObject, as_text: bool, kind: str) -> None:
    view, resources = data.draw(views(kind)), data.draw(RESOURCES[kind])
    decoded = [decode(encode(resource)) for resource in resources]
    source = b"\n".join(encode(resource) for resource in resources) if as_text else decoded
    table = run_view(view, source, bad="skip", findings=Findings())
    assert table.to_pylist() == interpret(view, decoded)
