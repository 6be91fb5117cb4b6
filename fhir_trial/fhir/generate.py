"""The command that makes the files in `definitions/` from HL7's npm packages.

    python -m fhir_trial.fhir.generate --r4 hl7.fhir.r4.examples/package hl7.terminology.r4/package \
                                       --r5 hl7.fhir.r5.core/package hl7.terminology.r5/package

Each version takes one or more unpacked packages; in the first that defines a thing wins. Same packages, same bytes.
"""

import argparse
import gzip
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fhir_trial.fhir.stored import Codes, Invariant, Kind, SearchParameter, StoredElement, StoredType
from fhir_trial.fhir.value_sets import NotExpandable, canonical, expand
from fhir_trial.fhir.versions import VERSIONS

Json = dict[str, Any]
KINDS = ("StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter")
BASE = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = BASE + "structuredefinition-fhir-type"
FHIRPATH = "http://hl7.org/fhirpath/System."


def read_packages(folders: Sequence[Path]) -> dict[str, dict[str, Json]]:
    """The conformance resources of the packages, by resource type and canonical url."""
    found: dict[str, dict[str, Json]] = {kind: {} for kind in KINDS}
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            kind = path.name.partition("-")[0]
            if kind in KINDS:
                resource = msgspec.json.decode(path.read_bytes())
                found[kind].setdefault(resource["url"], resource)
    return found


def type_code(path: str, stated: Json) -> str:
    """The FHIR type of one `type` of an element that is no resource's id.

    An `id` inside a resource may hold any string, whatever R5's definitions say of its type: HL7 itself writes `value[x]` there.
    """
    code: str = stated["code"]
    if not code.startswith(FHIRPATH):
        return code
    named = (e["valueUrl"] for e in stated.get("extension", ()) if e["url"] == FHIR_TYPE)
    return "string" if path.endswith(".id") else next(named, "string")


def invariants(element: Json) -> tuple[Invariant, ...]:
    """The constraints of an element that have an expression."""
    return tuple(
        Invariant(c["key"], c["severity"], c["expression"], c["human"]) for c in element.get("constraint", ()) if "expression" in c
    )


class Reader:
    """Turns the StructureDefinitions of one version into stored types."""

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        """Keep all `definitions` by url: profiles of data types give further invariants."""
        self._definitions = definitions

    def types(self) -> dict[str, StoredType]:
        """All resource types, data types and backbone elements by name."""
        found: dict[str, StoredType] = {}
        for definition in self._definitions.values():
            is_base = definition.get("derivation") != "constraint" and definition["kind"] != "logical"
            if is_base and definition["id"] == definition["type"]:
                found.update(self._types_of(definition))
        return dict(sorted(found.items()))

    def _types_of(self, definition: Json) -> dict[str, StoredType]:
        """One definition's type and the backbone elements inside it."""
        own = {e["path"]: invariants(e) for e in definition["differential"]["element"]}
        name = definition["type"]
        children: dict[str, dict[str, StoredElement]] = {name: {}}
        bases: dict[str, str] = {}
        for element in definition["snapshot"]["element"][1:]:
            parent, _, last = element["path"].rpartition(".")
            if element["max"] == "0" or (definition["kind"] == "primitive-type" and last == "value"):
                continue
            if parent not in children:
                children[parent] = {}
                # An element with children is its own type, named by its path.
                outer, _, inner = parent.rpartition(".")
                bases[parent] = children[outer][inner].types[0]
                children[outer][inner] = msgspec.structs.replace(children[outer][inner], types=(parent,))
            children[parent][last.removesuffix("[x]")] = self._element(element, own.get(element["path"], ()), definition["kind"])
        kind: Kind = definition["kind"]
        base = definition.get("baseDefinition", "").removeprefix(BASE) or None
        whole = StoredType(kind, base, children.pop(name), definition["abstract"], own.get(name, ()))
        return {name: whole} | {path: StoredType("backbone", bases[path], elements) for path, elements in children.items()}

    def _element(self, element: Json, own: tuple[Invariant, ...], kind: str) -> StoredElement:
        """One element of a snapshot."""
        stated = element.get("type", ())
        is_resource_id = kind == "resource" and element.get("base", {}).get("path") == "Resource.id"
        types = tuple("id" if is_resource_id else type_code(element["path"], t) for t in stated)
        if reference := element.get("contentReference"):
            types = (reference.partition("#")[2],)
        binding = element.get("binding", {})
        return StoredElement(
            types=tuple(dict.fromkeys(types)),
            min=element["min"],
            many=element["max"] not in ("0", "1"),
            choice=element["path"].endswith("[x]"),
            modifier=element.get("isModifier", False),
            strength=binding.get("strength") if "valueSet" in binding else None,
            value_set=canonical(binding["valueSet"]) if "valueSet" in binding else None,
            targets=reference_targets(stated),
            invariants=own + self._profiled(stated),
        )

    def _profiled(self, stated: Sequence[Json]) -> tuple[Invariant, ...]:
        """The invariants of the one profile an element's type is held to, such as `SimpleQuantity`."""
        profiles = [p for t in stated for p in t.get("profile", ())]
        if len(stated) != 1 or len(profiles) != 1 or profiles[0] not in self._definitions:
            return ()
        profile = self._definitions[profiles[0]]
        return invariants(profile["differential"]["element"][0]) if profile.get("derivation") == "constraint" else ()


def reference_targets(stated: Iterable[Json]) -> tuple[str, ...]:
    """The resource types that a Reference or CodeableReference may lead to; () = any."""
    profiles = [p for t in stated if t["code"] in ("Reference", "CodeableReference") for p in t.get("targetProfile", ())]
    targets = tuple(sorted(p.removeprefix(BASE) for p in profiles))
    return () if "Resource" in targets else targets


def branches(expression: str) -> list[str]:
    """The parts of a union, those inside brackets left whole.

    >>> branches("Patient.name | (Person.name | Person.x).y")
    ['Patient.name', '(Person.name | Person.x).y']
    """
    parts, depth = [""], 0
    for character in expression:
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def search_parameters(definitions: Iterable[Json]) -> dict[str, list[SearchParameter]]:
    """The search parameters by resource type, each with only the branches of its expression for that type."""
    found: dict[str, list[SearchParameter]] = {}
    for definition in definitions:
        parts = branches(definition["expression"])
        for base in definition["base"]:
            mine = [part for part in parts if re.match(rf"\(*{base}\b", part)] or parts
            parameter = SearchParameter(
                definition["code"], definition["type"], " | ".join(mine), tuple(sorted(definition.get("target", ())))
            )
            found.setdefault(base, []).append(parameter)
    return {base: sorted(parameters, key=lambda p: p.name) for base, parameters in sorted(found.items())}


def required_value_sets(types: Mapping[str, StoredType], found: Mapping[str, Mapping[str, Json]]) -> tuple[dict[str, Codes], list[str]]:
    """The value sets of all required bindings expanded, and the urls of those that cannot be."""
    urls = {e.value_set for t in types.values() for e in t.elements.values() if e.strength == "required" and e.value_set}
    expanded: dict[str, Codes] = {}
    left: list[str] = []
    for url in sorted(urls):
        try:
            expanded[url] = expand(url, found["ValueSet"], found["CodeSystem"])
        except NotExpandable:
            left.append(url)
    return expanded, left


def build(folders: Sequence[Path], number: str) -> tuple[bytes, list[str]]:
    """The compressed definitions of one version, and the required value sets that could not be expanded."""
    found = read_packages(folders)
    types = Reader(found["StructureDefinition"]).types()
    value_sets, left = required_value_sets(types, found)
    names = [name for name, t in types.items() if t.kind == "resource" and not t.abstract]
    # HL7's packages hold examples of SearchParameter too; those without an expression (`_filter`, `_query`) search no element.
    parameters = [p for _, p in sorted(found["SearchParameter"].items()) if "expression" in p and not p["id"].startswith("example")]
    search = search_parameters(parameters)
    whole = {"number": number, "types": types, "value_sets": value_sets, "search": search, "names": names}
    return gzip.compress(msgspec.json.encode(whole), mtime=0), left


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the definitions of each version that was given packages."""
    parser = argparse.ArgumentParser(prog="fhir_trial.fhir.generate", description=main.__doc__)
    for name in VERSIONS:
        parser.add_argument(f"--{name}", type=Path, nargs="+", metavar="PACKAGE_DIR")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "definitions")
    chosen = vars(parser.parse_args(arguments))
    for name, version in VERSIONS.items():
        if chosen[name]:
            data, left = build(chosen[name], version.number)
            (chosen["to"] / f"{name}.json.gz").write_bytes(data)
            sys.stdout.write(f"{name}: {len(data)} bytes; required value sets not expanded: {', '.join(left) or 'none'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
