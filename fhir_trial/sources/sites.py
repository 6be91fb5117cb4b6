"""The sites of a study as a registry record or a protocol has them, each under a key that stays when the record is refreshed."""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_trial.errors import Finding, Findings

Site = dict[str, str | None]

_KEY = ("name", "city", "state", "postal_code", "country")


def keyed(sites: Iterable[Site], place: str, findings: Findings) -> list[Site]:
    """The sites with a key where they have no number of their own: facility and address, wherever in its list the record has them.

    A site that stands there twice is one, with a warning. A facility that moves is another site, as it is for the registry.

    >>> keyed([{"name": "Clinic", "city": "Graz", "country": "Austria"}], "record", Findings())[0]["site"]
    'Clinic, Graz, Austria'
    """
    found: dict[str | None, Site] = {}
    for site in sites:
        key = site.get("site") or ", ".join(text for name in _KEY if (text := site.get(name)) is not None)
        if key in found:
            effect = "taken once"
            findings.add(Finding("duplicate-key", place, field="sites", found=key, expected="each once", severity="warning", effect=effect))
        elif key:
            found[key] = {"site": key, **site}
    return list(found.values())


def with_those_of_the_data(defined: Iterable[Site], told: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The definition's sites, and those of the data that it lacks; what the definition says of a site goes before the data."""
    sites: dict[Any, dict[str, Any]] = {site["site"]: dict(site) for site in defined}
    for row in told:
        known = sites.get(row["site"], {})
        sites[row["site"]] = {**row, **{name: value for name, value in known.items() if value is not None}}
    return list(sites.values())
