"""A study in USDM v4 (CDISC's Unified Study Definitions Model, JSON) as a study definition. What the definition cannot hold is listed."""

import html
import re
from decimal import Decimal
from typing import Any

from fhir_trial.errors import Finding
from fhir_trial.sources.sites import Site, keyed
from fhir_trial.sources.taking import Node, Taking
from fhir_trial.sources.usdm_codes import word, words

_VERSION = "study.versions"

SYNTAX = frozenset({"id", "instanceType", "codeSystem", "codeSystemVersion", "code"})
"""Members that hold a document together, or name a code whose meaning (`decode`) is taken."""

_MARKUP = re.compile(r"<(?!usdm:tag)[^<>]*>")
_TAG = re.compile(r'<usdm:tag[^<>]*?name="([^"<>]*)"[^<>]*>(?:</usdm:tag>)?')


def is_study(document: Any) -> bool:
    """Whether a JSON document is a study in USDM of version 4."""
    return isinstance(document, dict) and isinstance(document.get("study"), dict) and "versions" in document["study"]


def definition(study: Taking) -> dict[str, Any]:
    """The members of a study definition that the study states. USDM has no status of a study: it is UNKNOWN, with a warning."""
    version, design = _first(study, study.items(_VERSION), "study.versions"), {}
    designs = study.items("studyDesigns", version)
    design = _first(study, designs, "study.versions.studyDesigns")
    number = study.text("usdmVersion")
    if number is not None and not number.startswith("4."):
        study.findings.add(Finding("other-version", study.place, field="usdmVersion", found=number, expected="4", severity="warning"))
    effect = "UNKNOWN stands for it"
    study.findings.add(Finding("missing-fact-assumed", study.place, field="status", expected="a status", severity="warning", effect=effect))
    drugs = _drugs(study, version)
    return {
        **_names(study, version),
        "status": "UNKNOWN",
        "phase": _coded(study, design, "studyPhase.standardCode", "phases"),
        "purpose": _purpose(study, design),
        "condition": "; ".join(dict.fromkeys(_words(study, item) for item in study.items("indications", design))) or None,
        "sponsor": _sponsor(study, version),
        "enrollment": _enrollment(study, design),
        "sites": _sites(study, version),
        "arms": _arms(study, design, drugs),
        "drugs": list(drugs.values()),
        "eligibility": _eligibility(study, version, design),
        "outcomes": _outcomes(study, design),
        "endpoints": [],
        "references": [f"study in USDM {number}: {study.place}"],
    }


def plain(text: str | None) -> str | None:
    """Text without HTML mark-up; a place that a dictionary fills in stays as its name in brackets.

    >>> plain('<p>At least <usdm:tag name="min_age"/> years &amp; well.</p>')
    'At least [min_age] years & well.'
    """
    if text is None:
        return None
    lines = html.unescape(_MARKUP.sub("\n", _TAG.sub(r"[\1]", text))).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines if line.strip()) or None


def _first(study: Taking, items: list[Node], field: str) -> Node:
    if len(items) > 1:
        found, effect = f"{len(items)} of them", "the first is taken"
        study.findings.add(Finding("several", study.place, field=field, found=found, expected="one", severity="warning", effect=effect))
    return items[0] if items else {}


def _words(study: Taking, item: Node) -> str:
    return plain(study.text("label", item)) or plain(study.text("description", item)) or plain(study.text("name", item)) or ""


def _coded(study: Taking, node: Node, path: str, table: str) -> str | None:
    """The word for a code; one that the table lacks is said, and not used."""
    known, meaning = word(_at(node, *path.split(".")), table), study.text(f"{path}.decode", node)
    if known is None and meaning is not None:
        field, expected = path.partition(".")[0], ", ".join(words(table))
        study.findings.add(Finding("unknown-code", study.place, None, field, meaning, expected, "warning", "not used"))
    return known


def _purpose(study: Taking, design: Node) -> str | None:
    kinds = study.items("intentTypes", design)
    known = [purpose for kind in kinds if (purpose := word(kind, "purposes")) is not None]
    names = [study.text("decode", kind) or "" for kind in kinds]
    if len(kinds) > 1 or (kinds and not known):
        expected, effect = f"one of {', '.join(words('purposes'))}", f"{known[0]} is taken" if known else "not used"
        study.findings.add(
            Finding("unknown-code", study.place, None, "intentTypes", ", ".join(names), expected, severity="warning", effect=effect)
        )
    return known[0] if known else None


def _names(study: Taking, version: Node) -> dict[str, Any]:
    titles: dict[str, str | None] = {}
    for title in study.items("titles", version):
        kind = word(title.get("type"), "titles")
        if kind is not None and kind not in titles:
            study.drop("type.decode", title)
            titles[kind] = plain(study.text("text", title))
    organizations = {o.get("id"): o for o in study.items("organizations", version) if isinstance(o.get("id"), str)}
    identifiers = [i for i in study.items("studyIdentifiers", version) if isinstance(i.get("text"), str)]
    chosen = min(identifiers, key=lambda i: _rank(i, organizations), default=None)
    brief, official = titles.get("brief"), titles.get("official")
    name = study.text("study.name")
    return {
        "id": study.text("text", chosen) if chosen is not None else name,
        "title": brief or official or name,
        "official_title": official,
        "acronym": titles.get("acronym"),
        "identifiers": _identifiers(study, [i for i in identifiers if i is not chosen], organizations),
    }


def _identifiers(study: Taking, others: list[Node], organizations: dict[Any, Node]) -> list[dict[str, str | None]]:
    """The numbers beside the chosen one, and who gave them."""
    numbers = []
    for identifier in others:
        scope = identifier.get("scopeId")
        giver = organizations.get(scope if isinstance(scope, str) else None) or {}
        issuer = next((name for member in ("label", "name") if isinstance(name := giver.get(member), str) and name.strip()), None)
        numbers.append({"value": study.text("text", identifier), "issuer": issuer})
    return [number for number in numbers if number["value"]]


def _sites(study: Taking, version: Node) -> list[Site]:
    """The sites that organizations manage, under the names that they have in the document."""
    managed = [site for organization in study.items("organizations", version) for site in study.items("managedSites", organization)]
    found: list[Site] = []
    for site in managed:
        key = plain(study.text("name", site))
        found.append({"site": key, "name": plain(study.text("label", site)) or key, "country": study.text("country.decode", site)})
    return keyed(found, study.place, study.findings)


def _rank(identifier: Node, organizations: dict[Any, Node]) -> int:
    """A number of ClinicalTrials.gov goes first, then another registry's, then the sponsor's."""
    if re.fullmatch(r"NCT\d{8}", identifier["text"]):
        return 0
    scope = identifier.get("scopeId")
    kind = (organizations.get(scope if isinstance(scope, str) else None) or {}).get("type")
    return 1 if word(kind, "organizations") == "registry" else 2


def _sponsor(study: Taking, version: Node) -> dict[str, str] | None:
    """The organization in the role of sponsor, else the first of that type, else the one company that has a number for the study."""
    organizations = study.items("organizations", version)
    named: list[Any] = []
    for role in study.items("roles", version):
        if word(role.get("code"), "organizations") == "sponsor" and isinstance(ids := role.get("organizationIds"), list):
            named += ids
    chosen = [o for o in organizations if o.get("id") in named]
    chosen = chosen or [o for o in organizations if word(o.get("type"), "organizations") == "sponsor"]
    if not chosen and (company := _numbering_company(study, version, organizations)) is not None:
        chosen, effect = [company], "the company that numbers the study stands for it"
        study.findings.add(
            Finding("missing-fact-assumed", study.place, field="sponsor", expected="a sponsor", severity="warning", effect=effect)
        )
    name = (study.text("label", chosen[0]) or study.text("name", chosen[0])) if chosen else None
    return {"id": name, "name": name} if name else None


def _numbering_company(study: Taking, version: Node, organizations: list[Node]) -> Node | None:
    """The company that has a number for the study, where it is one."""
    numbering = [identifier.get("scopeId") for identifier in study.items("studyIdentifiers", version)]
    companies = [o for o in organizations if word(o.get("type"), "organizations") == "company" and o.get("id") in numbering]
    return companies[0] if len(companies) == 1 else None


def _enrollment(study: Taking, design: Node) -> dict[str, int]:
    """How many are to be enrolled: one number, or a range that is one; another range stays to be listed."""
    place = ("population", "plannedEnrollmentNumber")
    at_least, at_most = (_number(_at(design, *place, limit)) for limit in ("minValue", "maxValue"))
    planned = _number(_at(design, *place))
    if planned is None and at_least == at_most:
        planned = at_least
    if planned is None or planned != int(planned) or not 0 <= planned < 10**9:
        return {}
    study.drop(".".join(place), design)
    return {"planned": int(planned)}


def _number(value: Any) -> Decimal | None:
    """A number, or that of a Quantity."""
    value = value.get("value") if isinstance(value, dict) else value
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _drugs(study: Taking, version: Node) -> dict[Any, dict[str, Any]]:
    """The products by the id of their intervention."""
    drugs: dict[Any, dict[str, Any]] = {}
    for intervention in study.items("studyInterventions", version):
        name = plain(study.text("name", intervention))
        if name is not None and isinstance(intervention.get("id"), str):
            drugs[intervention["id"]] = {
                "medication": name,
                "name": plain(study.text("label", intervention)) or name,
                "planned": _planned(study, study.items("administrations", intervention)),
            }
    return drugs


def _planned(study: Taking, administrations: list[Node]) -> dict[str, Any] | None:
    """How the product is to be given, where it is one way that a definition can hold: a dose in a UCUM unit, and a route."""
    if len(administrations) != 1:
        return None
    given = administrations[0]
    unit = word(_at(given, "dose", "unit", "standardCode"), "units")
    route = _at(given, "route", "standardCode", "decode")
    if unit is None or not isinstance(route, str):
        return None
    study.drop("dose.unit", given)
    study.drop("route", given)
    return {
        "dose": study.text("dose.value", given),
        "unit": unit,
        "route": route.removesuffix(" Route of Administration").upper(),
        "frequency": study.text("frequency.standardCode.decode", given),
    }


def _at(node: Node, *steps: str) -> Any:
    value: Any = node
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _arms(study: Taking, design: Node, drugs: dict[Any, dict[str, Any]]) -> list[dict[str, Any]]:
    given = _given(study, design)
    arms = []
    for arm in study.items("arms", design):
        known, name = word(arm.get("type"), "arm_types"), plain(study.text("name", arm))
        kind = study.text("type.decode", arm)
        if name is not None:
            about = {"description": plain(study.text("description", arm)), "type": known or kind}
            ids = given.get(arm.get("id") if isinstance(arm.get("id"), str) else None, ())
            arms.append({"name": name, **about, "medications": [drugs[i]["medication"] for i in dict.fromkeys(ids) if i in drugs]})
    return arms


def _given(study: Taking, design: Node) -> dict[Any, list[str]]:
    """The interventions of each arm, by way of its cells and their elements."""
    of_element = {
        e.get("id"): study.texts("studyInterventionIds", e) for e in study.items("elements", design) if isinstance(e.get("id"), str)
    }
    given: dict[Any, list[str]] = {}
    for cell in study.items("studyCells", design):
        arm = study.text("armId", cell)
        for element in study.texts("elementIds", cell):
            given.setdefault(arm, []).extend(of_element.get(element, ()))
    return given


def _outcomes(study: Taking, design: Node) -> list[dict[str, Any]]:
    outcomes = []
    for objective in study.items("objectives", design):
        for endpoint in study.items("endpoints", objective):
            title, level = plain(study.text("text", endpoint)), _coded(study, endpoint, "level", "levels")
            if title is not None:
                outcomes.append({"title": title, "level": level or "other"})
    return outcomes


def _eligibility(study: Taking, version: Node, design: Node) -> dict[str, Any]:
    sexes = [_coded(study, {"sex": sex}, "sex", "sexes") for sex in study.items("population.plannedSex", design)]
    texts = {i.get("id"): i for i in study.items("eligibilityCriterionItems", version) if isinstance(i.get("id"), str)}
    criteria: dict[str, list[str]] = {}
    for criterion in study.items("eligibilityCriteria", design):
        kind, item = word(criterion.get("category"), "categories"), texts.get(study.text("criterionItemId", criterion))
        name = study.text("category.decode", criterion)
        category = kind or name or "Criteria"
        if item is not None and (text := plain(study.text("text", item))) is not None:
            criteria.setdefault(category, []).append(text)
    return {
        "minimum_age": _age(study, design, "minValue"),
        "maximum_age": _age(study, design, "maxValue"),
        "sex": sexes[0] if len(sexes) == 1 else "ALL" if sexes else None,
        "criteria": [line for category, lines in criteria.items() for line in (f"{category}:", *lines)],
    }


def _age(study: Taking, design: Node, limit: str) -> str | None:
    place = f"population.plannedAge.{limit}"
    unit = word(_at(design, *place.split("."), "unit", "standardCode"), "age_units")
    if unit is None:
        return None
    study.drop(f"{place}.unit", design)
    value = study.text(f"{place}.value", design)
    return None if value is None else f"{value.removesuffix('.0')} {unit}"
