"""A ClinicalTrials.gov v2 record as a study definition. What the definition cannot hold stays untaken and is listed."""

import re
from collections.abc import Sequence
from typing import Any

from fhir_trial.domain.dates import parse_when
from fhir_trial.domain.registry_text import plain
from fhir_trial.errors import Finding
from fhir_trial.sources.sites import Site, keyed
from fhir_trial.sources.taking import Node, Taking

DRUGS = frozenset({"DRUG", "BIOLOGICAL", "COMBINATION_PRODUCT", "DIETARY_SUPPLEMENT", "GENETIC"})
"""Types of interventions that are products which a subject gets."""

STATUSES = [
    "RECRUITING",
    "ENROLLING_BY_INVITATION",
    "NOT_YET_RECRUITING",
    "ACTIVE_NOT_RECRUITING",
    "COMPLETED",
    "SUSPENDED",
    "TERMINATED",
    "WITHDRAWN",
    "UNKNOWN",
    "AVAILABLE",
    "NO_LONGER_AVAILABLE",
    "TEMPORARILY_NOT_AVAILABLE",
    "APPROVED_FOR_MARKETING",
    "WITHHELD",
]
PHASES = ("EARLY_PHASE1", "PHASE1", "PHASE1/PHASE2", "PHASE2", "PHASE2/PHASE3", "PHASE3", "PHASE4", "NA")
PURPOSES = [
    "TREATMENT",
    "PREVENTION",
    "DIAGNOSTIC",
    "ECT",
    "SUPPORTIVE_CARE",
    "SCREENING",
    "HEALTH_SERVICES_RESEARCH",
    "BASIC_SCIENCE",
    "DEVICE_FEASIBILITY",
    "OTHER",
]
"""The registry's words. Its web site, and exports made of it, write the same words with other signs between: `Phase 2`."""

LEVELS = {"primaryOutcomes": "primary", "secondaryOutcomes": "secondary", "otherOutcomes": "other"}

_ITEM = re.compile(r"^(?:[*\-•]|\d{1,2}[.)])\s+")


def is_record(document: Any) -> bool:
    """Whether a JSON document is a record, or an answer of the API that holds records."""
    return isinstance(document, dict) and any(name in document for name in ("protocolSection", "resultsSection", "studies"))


def definition(record: Taking) -> dict[str, Any]:
    """The members of a study definition that the record states; the caller checks those that a definition needs."""
    take = record.text
    number = take("protocolSection.identificationModule.nctId")
    names = _names(record)
    sponsor = take("protocolSection.sponsorCollaboratorsModule.leadSponsor.name")
    made = {
        "id": number,
        **names,
        "identifiers": _identifiers(record),
        "status": _status(record),
        "why_stopped": take("protocolSection.statusModule.whyStopped"),
        "phase": _word(record, "phases", "/".join(sorted(record.texts("protocolSection.designModule.phases"))), PHASES),
        "purpose": _word(record, "primaryPurpose", take("protocolSection.designModule.designInfo.primaryPurpose"), PURPOSES),
        "condition": "; ".join(record.texts("protocolSection.conditionsModule.conditions")) or None,
        "description": plain(take("protocolSection.descriptionModule.briefSummary")),
        "started_on": _date(record, "startDateStruct"),
        "ended_on": _date(record, "completionDateStruct"),
        "sponsor": {"id": sponsor, "name": sponsor} if sponsor else None,
        "enrollment": _enrollment(record),
        "parties": _parties(record),
        "sites": _sites(record),
        **_arms_and_drugs(record),
        "eligibility": _eligibility(record),
        "outcomes": _outcomes(record),
        "endpoints": [],
        "references": [f"registry record of ClinicalTrials.gov, {number}"] if number else [],
    }
    for name in ("resultsSection", "documentSection", "derivedSection"):
        if record.drop(name) is not None:
            effect = "not part of a study definition"
            record.findings.add(Finding("not-carried", record.place, field=name, severity="information", effect=effect))
    for name in ("hasResults", "_id", "ctrname", "record_last_import"):
        record.drop(name)
    return made


def _status(record: Taking) -> str | None:
    """The status; one that is no word of the registry is UNKNOWN, with a warning: no resource could say it."""
    found = record.text("protocolSection.statusModule.overallStatus")
    known = _word(record, "overallStatus", found, STATUSES, "UNKNOWN stands for it")
    return known if known is not None or found is None else "UNKNOWN"


def _word(record: Taking, field: str, found: str | None, words: Sequence[str], effect: str = "not used") -> str | None:
    """The registry's word that a text is, whatever its case and the signs between."""
    known = {_letters(word): word for word in words}
    if not found or _letters(found) in known:
        return known[_letters(found)] if found else None
    expected = f"one of {', '.join(words)}"
    record.findings.add(Finding("unknown-code", record.place, None, field, found, expected, "warning", effect))
    return None


def _letters(text: str) -> str:
    """A word's letters and digits alone.

    >>> _letters("Active, not recruiting") == _letters("ACTIVE_NOT_RECRUITING")
    True
    """
    return "".join(sign for sign in text.upper() if sign.isalnum())


def _enrollment(record: Taking) -> dict[str, int]:
    """How many are to take part, or took part; a number that says neither stays to be listed."""
    place = "protocolSection.designModule.enrollmentInfo"
    kind = {"ACTUAL": "actual", "ESTIMATED": "planned", "ANTICIPATED": "planned"}.get((record.peek(f"{place}.type") or "").upper())
    if kind is None:
        return {}
    record.drop(f"{place}.type")
    count = record.text(f"{place}.count")
    if count is not None and not re.fullmatch(r"\d{1,9}", count):
        expected = "a number of people"
        record.findings.add(Finding("wrong-type", record.place, field=f"{place}.count", found=count, expected=expected, effect="not used"))
        return {}
    return {} if count is None else {kind: int(count)}


def _parties(record: Taking) -> list[dict[str, str | None]]:
    """The collaborators and the overall officials."""
    parties: list[dict[str, str | None]] = []
    for party in record.items("protocolSection.sponsorCollaboratorsModule.collaborators"):
        if (name := record.text("name", party)) is not None:
            parties.append({"role": "COLLABORATOR", "name": name})
    for official in record.items("protocolSection.contactsLocationsModule.overallOfficials"):
        if (name := record.text("name", official)) is not None:
            about = {"name": name, "affiliation": record.text("affiliation", official)}
            parties.append({"role": record.text("role", official) or "OVERALL_OFFICIAL", **about})
    return parties


def _sites(record: Taking) -> list[Site]:
    """The locations; persons to contact there stay to be listed."""
    members = {"name": "facility", "city": "city", "state": "state", "postal_code": "zip", "country": "country", "status": "status"}
    locations = record.items("protocolSection.contactsLocationsModule.locations")
    found: list[Site] = [{name: plain(record.text(member, location)) for name, member in members.items()} for location in locations]
    return keyed(found, record.place, record.findings)


def _names(record: Taking) -> dict[str, str | None]:
    module = "protocolSection.identificationModule"
    brief, official = plain(record.text(f"{module}.briefTitle")), plain(record.text(f"{module}.officialTitle"))
    return {"title": brief or official, "official_title": official, "acronym": record.text(f"{module}.acronym")}


def _identifiers(record: Taking) -> list[dict[str, str | None]]:
    """The organization's number and those of others, with the registry's word for their kind, and who gave them."""
    module = "protocolSection.identificationModule"
    organization = record.text(f"{module}.organization.fullName")
    numbers: list[dict[str, str | None]] = []
    for member, by in (("orgStudyIdInfo", organization), ("secondaryIdInfos", None)):
        for number in record.items(f"{module}.{member}"):
            if (value := record.text("id", number)) is not None:
                issuer = record.text("domain", number) or by
                numbers.append({"value": value, "kind": record.text("type", number), "issuer": issuer})
    return numbers


def _date(record: Taking, name: str) -> str | None:
    text = record.text(f"protocolSection.statusModule.{name}.date")
    if text is not None and parse_when(text) is None:
        record.findings.add(
            Finding("impossible-date", record.place, field=name, found=text, expected="an ISO 8601 date", effect="not used")
        )
        return None
    return text


def _arms_and_drugs(record: Taking) -> dict[str, Any]:
    drugs: dict[str, dict[str, Any]] = {}
    given: dict[str, list[str]] = {}
    for intervention in record.items("protocolSection.armsInterventionsModule.interventions"):
        if isinstance(intervention.get("type"), str) and intervention["type"] in DRUGS and isinstance(intervention.get("name"), str):
            kind, name = record.text("type", intervention), plain(record.text("name", intervention)) or ""
            drugs.setdefault(name, {"medication": name, "name": name})
            labels = record.texts("armGroupLabels", intervention)
            for label in labels:
                given.setdefault(plain(label) or "", []).append(name)
            given.setdefault(_link(kind, name), []).append(name)
    return {"arms": _arms(record, given), "drugs": list(drugs.values())}


def _link(kind: str | None, name: str) -> str:
    """How an arm names its intervention: `Drug: Repaglinide`, `Combination Product: ...`."""
    return f"{(kind or '').replace('_', ' ')}: {name}".upper()


def _arms(record: Taking, given: dict[str, list[str]]) -> list[dict[str, Any]]:
    arms: dict[str, dict[str, Any]] = {}
    for group in record.items("protocolSection.armsInterventionsModule.armGroups"):
        name = plain(record.text("label", group))
        if name is None:
            record.findings.add(
                Finding("missing-value", record.place, field="armGroups.label", expected="a name", effect="the arm is left out")
            )
            continue
        drugs = [drug for label in (name, *_links(record, group, given)) for drug in given.get(label, ())]
        arm: dict[str, Any] = {"name": _once(record, name, arms), "type": record.text("type", group)}
        arms[arm["name"] or ""] = arm | {
            "description": plain(record.text("description", group)),
            "medications": list(dict.fromkeys(drugs)),
        }
    return list(arms.values())


def _links(record: Taking, group: Node, given: dict[str, list[str]]) -> list[str]:
    """The keys of an arm's drugs; the names of other interventions stay, to be listed."""
    names = group.get("interventionNames")
    links = {name: (plain(name) or "").upper() for name in (names if isinstance(names, list) else [names]) if isinstance(name, str)}
    rest = [name for name, link in links.items() if link not in given]
    record.drop("interventionNames", group)
    if rest:
        group["interventionNames"] = rest
    return [link for link in links.values() if link in given]


def _once(record: Taking, name: str, arms: dict[str, Any]) -> str:
    """The arm's name, numbered where another arm has it already."""
    if name not in arms:
        return name
    numbered = next(f"{name} ({number})" for number in range(2, len(arms) + 3) if f"{name} ({number})" not in arms)
    finding = Finding("duplicate-key", record.place, field="armGroups.label", found=name, expected="each name once", severity="warning")
    record.findings.add(finding)
    return numbered


def _outcomes(record: Taking) -> list[dict[str, Any]]:
    outcomes: list[dict[str, Any]] = []
    for member, level in LEVELS.items():
        for outcome in record.items(f"protocolSection.outcomesModule.{member}"):
            title = plain(record.text("measure", outcome))
            if title is None:
                expected, effect = "a measure", "the outcome is left out"
                record.findings.add(Finding("missing-value", record.place, field=f"{member}.measure", expected=expected, effect=effect))
                continue
            outcome_measure = {"title": title, "level": level, "description": plain(record.text("description", outcome))}
            outcomes.append(outcome_measure | {"time_frame": plain(record.text("timeFrame", outcome))})
    return outcomes


def _eligibility(record: Taking) -> dict[str, Any]:
    module = "protocolSection.eligibilityModule"
    record.drop(f"{module}.stdAges")  # follows from the ages
    return {
        "minimum_age": record.text(f"{module}.minimumAge"),
        "maximum_age": record.text(f"{module}.maximumAge"),
        "sex": record.text(f"{module}.sex"),
        "criteria": criteria(plain(record.text(f"{module}.eligibilityCriteria"))),
    }


def criteria(text: str | None) -> list[str]:
    """The record's criteria, one an item: an entry of its list with what is indented below it, or a paragraph, such as a heading.

    >>> criteria("Inclusion Criteria:\\n\\n* Adults\\n\\n  * 18 years or more\\n* Consent\\n\\nExclusion Criteria:\\n\\n* None")
    ['Inclusion Criteria:', 'Adults\\n  * 18 years or more', 'Consent', 'Exclusion Criteria:', 'None']
    """
    items: list[str] = []
    blank = True
    for line in (text or "").splitlines():
        if not line.strip():
            blank = True
        elif _ITEM.match(line) or (blank and not line[0].isspace()) or not items:
            items.append(_ITEM.sub("", line).strip())
            blank = False
        else:
            items[-1] += f"\n{line.rstrip()}"
            blank = False
    return items
