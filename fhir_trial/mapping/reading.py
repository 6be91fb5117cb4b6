"""Rules that only read: which resources of others are rows of an entity, and where they differ from what we write."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from fhir_trial.data_files import data_dir
from fhir_trial.fhir.shapes import shapes
from fhir_trial.mapping.compile import Compiled, Compiler
from fhir_trial.mapping.cover import cover, passed_over
from fhir_trial.mapping.entity_map import EntityMap
from fhir_trial.mapping.errors import RuleError
from fhir_trial.mapping.mapping import RuleMapping
from fhir_trial.mapping.matching import values_at
from fhir_trial.mapping.paths import parse_path
from fhir_trial.mapping.reader import Known, build, compile_reader, take_codes
from fhir_trial.mapping.rules import EntityRules, load_rules, merged_rules, named_rules, read_rules
from fhir_trial.mapping.writer import Json, Problems

FOLDER = "reading"

_NO_FACTS = frozenset({"resourceType", "id", "meta", "text", "identifier", "implicitRules", "language", "status", "contained"})
"""Elements of a resource that are no facts of a row."""


class ReadingRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of `mappings/reading/`: an entity, the resources that are its rows, and rules laid over the entity's own.

    `when` names paths and the values of which one must stand there, `unless` those of which none may; `set` gives fields that such a
    resource never states: the first text that is there, where `<field>` stands for another field and `<id>` for the resource's id.
    """

    entity: str
    resource: str | None = None
    when: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unless: dict[str, tuple[str, ...]] = field(default_factory=dict)
    given: dict[str, tuple[str, ...]] = field(default_factory=dict, name="set")
    rules: dict[str, Any] = field(default_factory=dict)


class Reading:
    """How resources of others are read as rows of one entity."""

    def __init__(self, reading: ReadingRules, compiled: Compiled) -> None:
        """Compile the reader."""
        self.entity, self.resource_type = reading.entity, compiled.rules.resource
        self.key, self.type = compiled.rules.key, compiled.entity
        self._given = reading.given
        self._when, self._unless = _tests(reading.when), _tests(reading.unless)
        self._read = compile_reader(compiled.root, compiled.members)
        self._also = [(name, compile_reader(root, compiled.members)) for name, root in compiled.also]
        self._cover = cover((compiled.root, *(root for _, root in compiled.also)))
        # What a resource is recognised by has been read.
        self._cover.members |= {path.partition(".")[0] for path in (*reading.when, *reading.unless)}

    def accepts(self, resource: Json) -> bool:
        """Whether the resource is of the type, with one of the values at each path that says so."""
        return (
            resource.get("resourceType") == self.resource_type
            and all(test(resource) for test in self._when)
            and not any(test(resource) for test in self._unless)
        )

    def read(self, resource: Json, known: Known, fixed: dict[str, Any], problems: Problems) -> Any:
        """The row, or None with what is missing among the problems; `fixed` are fields that the reader decides."""
        values = {name: value for name, value in fixed.items() if name in self.type.__struct_fields__}
        self._read(resource, values, problems, known)
        for name, take in self._also:
            EntityMap.take_also(name, take, resource, values, problems)
        take_codes(values, problems)
        self._fill(resource, values)
        return build(self.type, values, "", problems)

    def passed_over(self, resource: Json) -> Iterator[str]:
        """The paths of the elements that the rules do not look at, what names or shows a resource left out."""
        for path in passed_over(resource, [self._cover], self.resource_type):
            if path.split(".")[1] not in _NO_FACTS:
                yield path

    def _fill(self, resource: Json, values: dict[str, Any]) -> None:
        """Fields that such a resource never states."""
        for name, templates in self._given.items():
            if name not in values:
                texts = (_filled(template, resource, values) for template in templates)
                if (text := next((text for text in texts if text is not None), None)) is not None:
                    values[name] = text


def _tests(wanted: dict[str, tuple[str, ...]]) -> list[Callable[[Json], bool]]:
    """For each path, whether one of its values stands there."""
    return [_test(values_at(parse_path(path)), frozenset(values)) for path, values in wanted.items()]


def _test(values: Callable[[Json], list[Any]], wanted: frozenset[str]) -> Callable[[Json], bool]:
    return lambda resource: any(
        (str(v).lower() if isinstance(v, bool) else v) in wanted for v in values(resource) if isinstance(v, str | bool)
    )


def _filled(template: str, resource: Json, values: dict[str, Any]) -> str | None:
    """The text of a `set`; None where what it stands for is not there."""
    if not template.startswith("<"):
        return template
    value = resource.get("id") if template == "<id>" else values.get(template[1:-1])
    return None if value is None else str(value)


def load_readings(mapping: RuleMapping, folder: Path | None = None) -> list[Reading]:
    """Every way to read resources of others in the mapping's version, in the order of the entities.

    An entity without a file of its own in `reading/` is read by its own rules, where its type says what it is.
    """
    rule_set = load_rules(mapping.fhir, folder=folder)
    folder = folder or data_dir("mappings")
    systems, classes = read_rules(folder / "systems.yaml"), {name: mapping[name].entity for name in mapping}
    readings = []
    for path in sorted((folder / FOLDER).glob("*.yaml")):
        document = merged_rules(read_rules(path), read_rules(folder / mapping.fhir / FOLDER / path.name))
        reading = msgspec.convert(named_rules(_sectioned(document), systems), ReadingRules)
        own = rule_set.entities.get(reading.entity)
        if own is None:
            raise RuleError(f"reading/{path.name}: {reading.entity!r} is no entity ({', '.join(rule_set.entities)})")
        try:
            compiled = Compiler(_rules(reading, own), rule_set, classes, shapes(mapping.fhir)).compile_reading()
        except RuleError as error:
            raise RuleError(f"{mapping.fhir} reading/{path.name}: {error}", f"mappings/reading/{path.name}") from error
        readings.append(Reading(reading, compiled))
    order = list(mapping)
    return sorted(readings, key=lambda reading: order.index(reading.entity))


_OWN = ("entity", "resource", "when", "unless", "set")


def _sectioned(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its rules under `rules`."""
    rules = {name: value for name, value in document.items() if name not in _OWN}
    return {name: document[name] for name in _OWN if name in document} | {"rules": rules}


def _rules(reading: ReadingRules, own: EntityRules) -> EntityRules:
    """The entity's own rules without its constants, with the file's laid over; the file's alone for another resource type."""
    base = msgspec.to_builtins(own)
    if reading.resource not in (None, own.resource):
        base = {name: base[name] for name in ("entity", "key")}
    kept = {name: value for name, value in base.items() if name not in ("is", "derived", "absent", "lossy")}
    merged = merged_rules(kept, reading.rules) | {"resource": reading.resource or own.resource}
    return msgspec.convert(merged, EntityRules)
