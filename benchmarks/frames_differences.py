"""Where fhirpathpy and this engine differ, over expressions of every kind that views use: the table in `frames_differences.md`.

    python benchmarks/frames_differences.py

fhirpathpy runs in an environment of its own (`frames_environments`), as a process that is given expressions and resources as JSON. Each
difference must have its reason in `REASONS`, else the run ends with 1 and the table is left as it was.
"""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from frames_environments import PACKAGES, python_of

from fhir_trial.errors import FhirTrialError
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhirpath import compile_path

TABLE = Path(__file__).with_name("frames_differences.md")
PEER = """
import json, sys, fhirpathpy
from fhirpathpy.models import models
answers, out, sys.stdout = [], sys.stdout, sys.stderr
for expression, resource in json.load(sys.stdin):
    try:
        answers.append({"found": fhirpathpy.evaluate(resource, expression, {}, models["r4"])})
    except Exception as error:
        answers.append({"error": type(error).__name__})
json.dump(answers, out, default=lambda value: float(value) if type(value).__name__ == "Decimal" else str(value))
"""
"""What the other engine's process does."""
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [
        {"use": "official", "family": "Doe", "given": ["Ann", "B."]},
        {"use": "usual", "given": [None, "Annie"], "_given": [{"extension": [{"url": "http://e.org/why", "valueCode": "masked"}]}, None]},
    ],
    "birthDate": "1950-02",
    "_birthDate": {"extension": [{"url": "http://e.org/time", "valueTime": "04:05"}]},
    "deceasedBoolean": False,
    "telecom": [{"system": "phone", "value": "1", "rank": 2}, {"system": "email", "value": "a@b"}],
    "extension": [{"url": "http://e.org/arm", "valueCodeableConcept": {"text": "A"}}, {"url": "http://e.org/n", "valueDecimal": 1.50}],
    "managingOrganization": {"reference": "Organization/o1"},
    "contained": [{"resourceType": "Organization", "id": "o2", "name": "Inner"}],
}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "21889-1"}, {"system": "http://snomed.info/sct", "code": "246120007"}]},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2024-01-05T10:00:00+01:00",
    "valueQuantity": {"value": 12.50, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm"},
    "component": [{"code": {"text": "x"}, "valueInteger": 3}, {"code": {"text": "y"}, "valueInteger": 4}],
}
RESOURCES = [PATIENT, OBSERVATION, {"resourceType": "Patient"}, {"resourceType": "Observation", "valueString": "none"}]
EXPRESSIONS = {
    "Patient": [
        *("id", "active", "name.family", "name.given", "name.given.first()", "name.given.count()", "name.last().given", "name[1].given[1]"),
        *(
            "name.where(use = 'official').given",
            "name.where(use = 'usual').given.exists()",
            "name.exists(family = 'Doe')",
            "name.tail().use",
        ),
        *("name.given.join(',')", "name.select(given.first())", "name.all(given.exists())", "name.given | name.use", "name.skip(1).use"),
        *(
            "birthDate",
            "birthDate.exists()",
            "birthDate.extension('http://e.org/time').value",
            "birthDate.extension.url",
            "birthDate = @1950",
        ),
        *("birthDate < @1950-03", "birthDate <= @1950-02-10", "birthDate.is(date)", "birthDate is date", "birthDate.toString()"),
        *(
            "deceased",
            "deceased.ofType(boolean)",
            "deceased.ofType(dateTime)",
            "deceased is boolean",
            "deceased.exists()",
            "deceased.not()",
        ),
        *(
            "telecom.where(rank > 1).value",
            "telecom.rank + 1",
            "telecom.first().rank * 2.5",
            "telecom.first().rank / 3",
            "telecom.rank = 2",
        ),
        *(
            "telecom.rank.sum()",
            "telecom.system.distinct()",
            "telecom.value.where($this.startsWith('a'))",
            "telecom.value.matches('^[0-9]$')",
        ),
        *(
            "extension('http://e.org/arm').value.ofType(CodeableConcept).text",
            "extension('http://e.org/n').value",
            "extension.value.exists()",
        ),
        *("extension.value.ofType(decimal)", "extension('http://e.org/n').value.ofType(decimal) = 1.5", "extension.url.count()"),
        *("managingOrganization.reference", "contained.ofType(Organization).name", "contained.name", "contained.where(resourceType = 'x')"),
        *(
            "active and deceased.ofType(boolean)",
            "active.not()",
            "active implies name.empty()",
            "{} or true",
            "{} and true",
            "active xor true",
        ),
        *("name.famly", "deceasedBoolean", "gender.exists()", "iif(active, 'yes', 'no')", "'a' & name.family", "name.family.first() + '!'"),
        *("name.family.upper()", "name.family.first().substring(1, 1)", "name.family.first().length()", "'1.50'.toDecimal()", "1.50 = 1.5"),
        *(
            "10 div 3",
            "10 mod 3",
            "7 / 2",
            "1.5 ~ 1.50",
            "5 'mg' = 5 'mg'",
            "1 'cm' = 10 'mm'",
            "3.14159.round(2)",
            "(-5).abs()",
            "2.power(3)",
        ),
        *("today() = today()", "@2024-01-31 + 1 month", "@2024-02 < @2024-02-10", "name.repeat(given)", "children().count() > 3"),
        *("id.lowBoundary()", "birthDate.lowBoundary()", "name.trace('x').use", "(1 | 2 | 2).count()", "(1 | 2).union(2 | 3).count()"),
    ],
    "Observation": [
        *("status", "value", "value.ofType(Quantity).value", "value.ofType(Quantity).unit", "valueQuantity.value", "value.ofType(string)"),
        *("value is Quantity", "(value as Quantity).value", "value.ofType(Quantity) > 10 'mm'", "value.ofType(Quantity) = 1.25 'cm'"),
        *("code.coding.where(system = 'http://loinc.org').code.first()", "code.coding.code", "code.coding.count()", "code.coding.first()"),
        *(
            "effective.ofType(dateTime)",
            "effective.ofType(Period)",
            "effective",
            "effective > @2024-01-05",
            "effective.ofType(dateTime) < @2025",
        ),
        *(
            "component.value.ofType(integer)",
            "component.value.ofType(integer).sum()",
            "component.where(code.text = 'y').value",
            "component.value",
        ),
        *("component.value.ofType(integer).aggregate($this + $total, 0)", "subject.reference", "subject.resolve().exists()", "subject.id"),
        *("component.code.text.combine('z').count()", "component.select(code.text & '=' & value.ofType(integer).toString())"),
    ],
}
_NULLS = "a primitive that has extensions only is one item, and its null no value; fhirpathpy keeps nulls and counts the extensions apart"
_TYPES = "fhirpathpy cannot tell the type of what was read"
_PARTIAL = "fhirpathpy fails on this function, or on what it is given here"
_STRICT = "a name that the type has not is an error here, with a suggestion; elsewhere a silent gap"
REASONS = {
    **dict.fromkeys(("name.given", "name.given.count()", "name.last().given", "name.given.join(',')", "name.repeat(given)"), _NULLS),
    **dict.fromkeys(("name.select(given.first())", "name.given | name.use"), _NULLS),
    **dict.fromkeys(("birthDate.is(date)", "birthDate is date", "birthDate.toString()"), _TYPES),
    **dict.fromkeys(("birthDate.lowBoundary()", "id.lowBoundary()", "subject.resolve().exists()"), _PARTIAL),
    **dict.fromkeys(("telecom.rank.sum()", "component.value.ofType(integer).sum()"), _PARTIAL),
    **dict.fromkeys(("value.ofType(Quantity) > 10 'mm'", "value.ofType(Quantity) = 1.25 'cm'"), _PARTIAL),
    "name.famly": _STRICT,
    "deceasedBoolean": f"{_STRICT}: the JSON name of a choice is no element",
    "valueQuantity.value": f"{_STRICT}: the JSON name of a choice is no element",
    "today() = today()": "refused here: a view must give the same table of the same data tomorrow",
    "1 'cm' = 10 'mm'": "fhirpathpy converts units; here units that differ give no answer, which FHIRPath allows",
}
"""Why an expression's answers differ, and who is right."""


def ours(expression: str, resource: dict[str, Any]) -> dict[str, Any]:
    """What this engine finds, or why it refuses."""
    try:
        path = compile_path(expression, shapes("r4"), resource["resourceType"])
        return {"found": path(json.loads(json.dumps(resource), parse_float=Decimal))}
    except FhirTrialError as error:
        return {"error": getattr(error, "problem", type(error).__name__)}


def theirs(questions: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What fhirpathpy finds, in one process."""
    done = subprocess.run([python_of("fhirpathpy"), "-c", PEER], input=json.dumps(questions), capture_output=True, text=True, check=True)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def plain(answer: dict[str, Any]) -> str:
    """An answer so that numbers of one size are equal, and nothing found is nothing found."""
    if "error" in answer:
        return f"refused: {answer['error']}"
    return json.dumps(answer["found"], default=float, sort_keys=True) if answer["found"] else "nothing"


def same(one: str, other: str) -> bool:
    """Whether two answers are the same; refusals are, whatever their words."""
    if one.startswith("refused") or other.startswith("refused"):
        return one.startswith("refused") and other.startswith("refused")
    return one == other or (one != "nothing" and other != "nothing" and json.loads(one) == json.loads(other))


def main() -> int:
    """Compare, and write the table where each difference has a reason."""
    questions = [(each, resource) for resource in RESOURCES for each in EXPRESSIONS[resource["resourceType"]]]
    differences: dict[str, tuple[str, str]] = {}
    for (expression, resource), other in zip(questions, theirs(questions), strict=True):
        found, said = plain(ours(expression, resource)), plain(other)
        if not same(found, said):
            differences.setdefault(expression, (found, said))
    unexplained = [expression for expression in differences if expression not in REASONS]
    rows = [
        f"| `{expression.replace('|', chr(92) + '|')}` | {_cell(found)} | {_cell(said)} | {REASONS.get(expression, '?')} |"
        for expression, (found, said) in differences.items()
    ]
    summary = (
        f"{len(questions)} questions ({sum(map(len, EXPRESSIONS.values()))} expressions over {len(RESOURCES)} resources): the answers are "
        f"the same but for {len(differences)} expressions. Made by `python benchmarks/{Path(__file__).name}` with "
        f"{PACKAGES['fhirpathpy'][0]}."
    )
    head = "| expression | this engine | fhirpathpy | why |\n|---|---|---|---|"
    text = "\n".join(["# Where fhirpathpy and this engine differ", "", summary, "", head, *rows, ""])
    if unexplained:
        print(text)
        print(f"without a reason: {unexplained}", file=sys.stderr)
        return 1
    TABLE.write_text(text, encoding="utf-8")
    print(summary)
    return 0


def _cell(text: str) -> str:
    return text.replace("|", "\\|")[:90]


if __name__ == "__main__":
    sys.exit(main())
