"""Definitions of our own extensions and code systems, made from the rules that use them: what a validator or a server must be given."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from fhir_trial.data_files import data_dir
from fhir_trial.fhir.versions import version
from fhir_trial.mapping.errors import RuleError
from fhir_trial.mapping.keys import BASE
from fhir_trial.mapping.mapping import RuleMapping, load
from fhir_trial.mapping.tree import Item, Node, Repeat, has_fields
from fhir_trial.mapping.writer import LOCAL_TIME

OURS = f"{BASE}StructureDefinition/"


class _Use:
    """Where an extension stands and what it holds."""

    def __init__(self) -> None:
        self.contexts: set[str] = set()
        self.types: set[str] = set()
        self.parts: dict[str, set[str]] = {}


def definitions(fhir: str) -> list[dict[str, Any]]:
    """StructureDefinitions of our extensions and our CodeSystems, for one FHIR version, sorted by url.

    >>> [d["resourceType"] for d in definitions("r4")][:1]
    ['CodeSystem']
    """
    uses: dict[str, _Use] = {LOCAL_TIME: _Use()}
    uses[LOCAL_TIME].contexts.add("Element")
    uses[LOCAL_TIME].types.add("string")
    mapping = load(fhir)
    for root in _roots(mapping):
        for url, node_type, node in _extensions(root):
            if url.startswith(OURS):
                use = uses.setdefault(url, _Use())
                use.contexts.add(node_type)
                _holds(node, use)
    words = _read("extensions.yaml")
    made = [_structure(url, use, words, fhir) for url, use in uses.items()]
    made += [_code_system(name, entry) for name, entry in _read("code-systems.yaml").items()]
    return sorted(made, key=lambda resource: str(resource["url"]))


def _roots(mapping: RuleMapping) -> Iterator[Node]:
    for entity in mapping:
        yield mapping[entity].tree


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load((data_dir("mappings") / name).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return document


def _extensions(node: Node) -> Iterator[tuple[str, str, Node]]:
    """(url, type of what it stands on, its node) of every extension in a tree, those inside others left out."""
    for child in node.objects.values():
        yield from _extensions(child)
    for name, entries in node.lists.items():
        for entry in entries:
            if name == "extension":
                yield str(entry.where[0].value), node.type, entry.node
            else:
                yield from _extensions(entry.node)


def _holds(node: Node, use: _Use) -> None:
    use.types |= _value_types(node)
    for entry in node.lists.get("extension", []):
        if isinstance(entry, Item | Repeat) and has_fields(entry.node):
            use.parts.setdefault(str(entry.where[0].value), set()).update(_value_types(entry.node))


def _value_types(node: Node) -> set[str]:
    plain = {leaf.fhir_type for leaf in node.leaves}
    plain |= {name[5].lower() + name[6:] for name in node.constants if name.startswith("value")}
    return plain | {child.type for name, child in node.objects.items() if name.startswith("value")}


def _structure(url: str, use: _Use, words: Mapping[str, str], fhir: str) -> dict[str, Any]:
    name = url.removeprefix(OURS)
    if name not in words:
        raise RuleError(f"extension {name!r} is not described in extensions.yaml", "mappings/extensions.yaml")
    root = {"id": "Extension", "path": "Extension", "short": words[name], "definition": words[name]}
    elements: list[dict[str, Any]] = [root, *(_part_elements(use.parts) if use.parts else [_element("Extension.extension", max="0")])]
    elements.append(_element("Extension.url", fixedUri=url))
    value = {"max": "0"} if use.parts else {"min": 1, "type": [{"code": code} for code in sorted(use.types)]}
    elements.append(_element("Extension.value[x]", **value))
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": url,
        "version": "1.0.0",
        "name": "".join(part.capitalize() for part in name.split("-")),
        "title": name.replace("-", " ").capitalize(),
        "status": "active",
        "description": words[name],
        "fhirVersion": version(fhir).number,
        "kind": "complex-type",
        "abstract": False,
        "context": [{"type": "element", "expression": context} for context in sorted(use.contexts)],
        "type": "Extension",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
        "derivation": "constraint",
        "differential": {"element": elements},
    }


def _element(path: str, **rest: Any) -> dict[str, Any]:
    return {"id": path, "path": path, **rest}


def _part_elements(parts: Mapping[str, set[str]]) -> list[dict[str, Any]]:
    elements: list[dict[str, Any]] = []
    for name, types in parts.items():
        at = f"Extension.extension:{name}"
        elements += [
            {"id": at, "path": "Extension.extension", "sliceName": name, "min": 0, "max": "1"},
            {"id": f"{at}.extension", "path": "Extension.extension.extension", "max": "0"},
            {"id": f"{at}.url", "path": "Extension.extension.url", "fixedUri": name},
            {"id": f"{at}.value[x]", "path": "Extension.extension.value[x]", "min": 1, "type": [{"code": c} for c in sorted(types)]},
        ]
    return elements


def _code_system(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    concepts = entry["concepts"] or {}
    system = {
        "resourceType": "CodeSystem",
        "id": name,
        "url": f"{BASE}CodeSystem/{name}",
        "version": "1.0.0",
        "name": "".join(part.capitalize() for part in name.split("-")),
        "title": entry["title"],
        "status": "active",
        "caseSensitive": True,
        "content": "complete" if concepts else "not-present",
    }
    listed = [{"code": code, "display": display} for code, display in concepts.items()]
    return system | {"concept": listed} if listed else system
