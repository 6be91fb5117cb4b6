"""The protocol of a PRS XML record as a study definition: laid out as the registry's JSON, which `ctgov` reads; the rest is listed."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from lxml import etree

from fhir_trial.errors import Finding, Findings, InputError, not_carried
from fhir_trial.sources import ctgov
from fhir_trial.sources.taking import Node, Taking

Element = Any
NO_LIMIT = re.compile(r"n/?a\b", re.IGNORECASE)
"""An age without limit."""


def is_prs(root: Element) -> bool:
    """Whether an XML document is a PRS record."""
    return bool(root.tag == "clinical_study" or etree.QName(root).localname == "study_collection")


def definition(root: Element, place: str, findings: Findings) -> dict[str, Any]:
    """The members of a study definition that the file's one study states; the sponsor's number is its id."""
    studies = list(root.iter("clinical_study"))
    if len(studies) != 1:
        raise InputError([Finding("several-studies", place, field="clinical_study", found=str(len(studies)), expected="one study")])
    layout = _Layout(studies[0])
    taking = Taking(place, {"protocolSection": layout.document}, findings)
    members = ctgov.definition(taking)
    findings.extend(not_carried(place, layout.left() + taking.left(), "the study definition has no place for it"))
    return members | {"references": [f"PRS record {members['id']}: {place}"] if members["id"] else []}


@cache
def _rules() -> dict[str, Any]:
    rules: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("prs_protocol.yaml").read_text(encoding="utf-8"))
    return rules


class _Layout:
    """A study's elements as the registry's JSON has their facts; remembers which it read."""

    def __init__(self, study: Element) -> None:
        self.study, self.document = study, {}  # type: Element, Node
        self.read: set[Element] = set()
        for path, target in _rules()["one"].items():
            if (text := self.text(study, path)) is not None:
                self.put(target, self.word(target.rpartition(".")[2], text))
        for path, rule in _rules()["many"].items():
            items = [self.item(element, rule) for element in study.iterfind(path)]
            if items:
                self.put(rule["at"], items)

    def text(self, element: Element, path: str) -> str | None:
        """An element's text, or that of its textblock."""
        for child in element.iterfind(path):
            inner = child.find("textblock")
            holder = child if inner is None else inner
            self.read.add(holder)
            return (holder.text or "").strip() or None
        return None

    def put(self, path: str, value: Any) -> None:
        *above, last = path.split(".")
        owner = self.document
        for step in above:
            owner = owner.setdefault(step, {})
        owner[last] = value

    def item(self, element: Element, rule: dict[str, Any]) -> Any:
        if "members" not in rule:
            self.read.add(element)
            return (element.text or "").strip()
        made: Node = {}
        for tag, name in rule["members"].items():
            if (text := self.text(element, tag)) is not None:
                made[name] = self.word(name, text)
        for tag, name in rule.get("lists", {}).items():
            children = element.findall(tag)
            self.read |= set(children)
            made[name] = [(child.text or "").strip() for child in children]
        for name, tags in rule.get("joined", {}).items():
            made[name] = " ".join(text for tag in tags if (text := self.text(element, tag)) is not None)
        return made

    @staticmethod
    def word(name: str, text: str) -> str | None:
        """The registry's code for PRS's word, where the member has codes; nothing for an age without limit."""
        if name in ("minimumAge", "maximumAge"):
            return None if NO_LIMIT.match(text) else text
        if name not in _rules()["coded"]:
            return text
        code = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
        return str(_rules()["words"].get(code, code))

    def left(self) -> Counter[str]:
        """The elements with a text that nobody read, by path; results and their parts count as one."""
        return Counter(path for element, path in _texts(self.study) if element not in self.read)


def _texts(element: Element, path: str = "") -> Iterator[tuple[Element, str]]:
    for child in element:
        name = etree.QName(child).localname
        inner = f"{path}.{name}" if path else name
        if path == "result" or name in ("textblock", "result"):
            inner = path or name
        if (child.text or "").strip():
            yield child, inner
        yield from _texts(child, inner)
