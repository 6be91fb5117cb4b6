"""ODM-XML 1.3.2 (CDISC): a study's metadata, and its subjects' data as items. DTDs and entities are refused, the size is bounded."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

from fhir_trial.errors import Finding, Findings, InputError, not_carried
from fhir_trial.sources.safe_xml import read_tree
from fhir_trial.sources.sites import Site, keyed

NAMESPACE = "http://www.cdisc.org/ns/odm/v1.3"

_LEVELS = ("SubjectData", "StudyEventData", "FormData", "ItemGroupData")
Element = Any
Key = tuple[Any, ...]
"""A subject, the OIDs and repeat keys of event, form and group, and an item: as many of them as are meant."""


class Item(NamedTuple):
    """One value: where it stands (subject, visit, and the keys of event, form and group), its group's and its own OID."""

    subject: str
    site: str | None
    visit: str | None
    record: tuple[str, ...]
    """The keys of event, form and group with their repeats: items of one record belong together."""
    group: str
    item: str
    value: str
    unit: str | None


@dataclass
class OdmFile:
    """A file's studies and values."""

    place: str
    root: Element = field(repr=False)
    findings: Findings = field(default_factory=Findings)

    def study(self) -> dict[str, Any]:
        """The members of a study definition that ODM states: an identifier, a name and a description."""
        study = self.root.find(_name("Study"))
        if study is None:
            self.findings.add(Finding("missing-value", self.place, field="Study", expected="a Study with its global variables"))
            return {"arms": [], "drugs": [], "outcomes": [], "endpoints": []}
        names = {name: _text(study.find(f"{_name('GlobalVariables')}/{_name(name)}")) for name in _GLOBAL}
        self._report_more_studies()
        effect = "UNKNOWN stands for it"
        self.findings.add(
            Finding("missing-fact-assumed", self.place, field="status", expected="a status", severity="warning", effect=effect)
        )
        return {
            "id": (study.get("OID") or "").strip() or None,
            "title": names["StudyName"] or names["ProtocolName"],
            "acronym": names["ProtocolName"] if names["ProtocolName"] != names["StudyName"] else None,
            "description": names["StudyDescription"],
            "status": "UNKNOWN",
            "sites": self._sites(),
            "arms": [],
            "drugs": [],
            "outcomes": [],
            "endpoints": [],
            "references": [f"ODM-XML {self.root.get('ODMVersion') or '1.3'}: {self.root.get('FileOID') or self.place}"],
        }

    def _sites(self) -> list[Site]:
        """The locations that are sites, under the OID that a subject's data name; places of sponsors and laboratories are none."""
        locations = [one for one in self.root.iter(_name("Location")) if one.get("LocationType", "Site") == "Site"]
        return keyed(({"site": one.get("OID"), "name": one.get("Name")} for one in locations), self.place, self.findings)

    def _report_more_studies(self) -> None:
        studies = self.root.findall(_name("Study"))
        if len(studies) > 1:
            found, effect = f"{len(studies)} studies", "the first is taken"
            self.findings.add(Finding("several", self.place, field="Study", found=found, expected="one", severity="warning", effect=effect))
        parts = ("StudyEventDef", "FormDef", "ItemGroupDef", "ItemDef", "CodeList", "MeasurementUnit", "ConditionDef", "MethodDef")
        counts = {name: sum(1 for _ in self.root.iter(_name(name))) for name in parts}
        self.findings.extend(not_carried(self.place, counts, "the study definition has no place for it"))

    def items(self) -> list[Item]:
        """Every subject's values as they stand at the end of the file: a later transaction changes or removes an earlier one."""
        visits = {e.get("OID"): e.get("Name") for e in self.root.iter(_name("StudyEventDef"))}
        units = {u.get("OID"): u.get("Name") for u in self.root.iter(_name("MeasurementUnit"))}
        current: dict[Key, Item] = {}
        for path, element in self._values():
            if element is None or element.get("TransactionType") == "Remove":
                removed = _steps(path) + (() if element is None else (element.get("ItemOID"),))
                current = {key: item for key, item in current.items() if key[: len(removed)] != removed}
                continue
            key = (*_steps(path), element.get("ItemOID"))
            if None in key:
                expected = "SubjectKey, StudyEventOID, FormOID, ItemGroupOID and ItemOID"
                self.findings.add(
                    Finding("missing-value", self.place, row=element.sourceline, expected=expected, effect="the value is left out")
                )
            elif (value := _value(element)) is None:
                current.pop(key, None)
            else:
                site, reference = path[0].find(_name("SiteRef")), element.find(_name("MeasurementUnitRef"))
                unit = None if reference is None else reference.get("MeasurementUnitOID")
                current[key] = Item(
                    subject=key[0],
                    site=None if site is None else site.get("LocationOID"),
                    visit=visits.get(key[1]),
                    record=key[1:-1],
                    group=key[-3],
                    item=key[-1],
                    value=value,
                    unit=units.get(unit, unit),
                )
        return list(current.values())

    def _values(self) -> Iterator[tuple[list[Element], Element | None]]:
        """Each value with the subject, event, form and group above it, and for what is removed as a whole the path down to it alone."""
        for data in self.root.iter(_name("ClinicalData")):
            yield from _walk(data, [])


_GLOBAL = ("StudyName", "StudyDescription", "ProtocolName")


def _walk(element: Element, path: list[Element]) -> Iterator[tuple[list[Element], Element | None]]:
    if path and path[-1].get("TransactionType") == "Remove":
        yield path, None
    elif len(path) == len(_LEVELS):
        for child in element:
            if isinstance(child.tag, str) and etree.QName(child).localname.startswith("ItemData"):
                yield path, child
    else:
        for child in element.iterchildren(_name(_LEVELS[len(path)])):
            yield from _walk(child, [*path, child])


def _steps(path: list[Element]) -> Key:
    """The keys down to an element: its subject, then the OID and repeat key of each level below."""
    below = zip(path[1:], ("StudyEvent", "Form", "ItemGroup"), strict=False)
    pairs = ((above.get(f"{level}OID"), above.get(f"{level}RepeatKey") or "1") for above, level in below)
    return (path[0].get("SubjectKey"), *(step for pair in pairs for step in pair))


def _value(element: Element) -> str | None:
    if element.get("IsNull") == "Yes":
        return None
    value = element.get("Value")
    text = (element.text if value is None else value) or ""
    return text.strip() or None


def _text(element: Element | None) -> str | None:
    return None if element is None else " ".join((element.text or "").split()) or None


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def read_odm(path: Path, root: Element | None = None) -> OdmFile:
    """The file's tree (`root`, where it was read already); `InputError` with a finding where it is no ODM 1.3, and as `read_tree` does."""
    tree = read_tree(path) if root is None else root
    if tree.tag != _name("ODM"):
        found = etree.QName(tree).localname
        raise InputError([Finding("not-odm", path.name, found=found, expected=f"ODM in the namespace {NAMESPACE}")])
    file = OdmFile(path.name, tree)
    version = tree.get("ODMVersion")
    if version not in (None, "1.3", "1.3.0", "1.3.1", "1.3.2"):
        file.findings.add(Finding("other-version", path.name, field="ODMVersion", found=version, expected="1.3.2", severity="warning"))
    return file
