"""One entity in one version: rows to resources and back, and which resources are rows of it."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import pyarrow as pa

from fhir_trial.domain.entities import Entity
from fhir_trial.errors import Finding, Findings
from fhir_trial.fhir.shapes import Shapes
from fhir_trial.mapping.codecs import field_types, key_part
from fhir_trial.mapping.compile import Compiled
from fhir_trial.mapping.decode import decode_tables
from fhir_trial.mapping.errors import BadValue
from fhir_trial.mapping.keys import join_key, logical_id, split_key, system_of
from fhir_trial.mapping.reader import Known, build, compile_reader, objects_in
from fhir_trial.mapping.tree import Node, has_fields
from fhir_trial.mapping.views import entity_views
from fhir_trial.mapping.writer import Json, Problems, compile_writer

E = TypeVar("E", bound=Entity)


class EntityMap(Generic[E]):
    """The rules of one entity, compiled."""

    def __init__(self, compiled: Compiled, shapes: Shapes) -> None:
        """Compile writer and reader."""
        self.rules = compiled.rules
        self.entity = compiled.entity
        self.system = system_of(compiled.rules.entity)
        self.resource_type = compiled.rules.resource
        self.lossy = compiled.rules.lossy
        self._compiled = compiled
        self._write = compile_writer(compiled.root, shapes)
        self._read = compile_reader(compiled.root, compiled.members)
        self._also = [(name, compile_reader(root, compiled.members)) for name, root in compiled.also]
        types = field_types(compiled.entity)
        self._key_types = tuple((name, types[name]) for name in compiled.rules.key)
        element = shapes.element(compiled.rules.resource, "identifier")
        self._many_identifiers = element is not None and element.many
        self._is = _constant_check(compiled.root)

    def __repr__(self) -> str:
        """The entity and its resource type."""
        return f"EntityMap({self.rules.entity} -> {self.resource_type})"

    @property
    def tree(self) -> Node:
        """The rules resolved against the version's shapes."""
        return self._compiled.root

    def key(self, row: E) -> str:
        """The value of the row's business identifier."""
        return join_key([getattr(row, name) for name in self.rules.key])

    def id(self, row: E) -> str:
        """The row's logical id, the same in every version."""
        return logical_id(self.system, self.key(row))

    def matches(self, resource: Json) -> bool:
        """Whether the resource has this entity's type and constants."""
        return resource.get("resourceType") == self.resource_type and self._is(resource)

    def to_fhir(self, row: E) -> Json:
        """The row as a resource; `InputError` names each field that could not be written."""
        findings = Findings()
        resource = self.write(row, findings)
        findings.raise_errors()
        assert resource is not None  # a resource is withheld only with an error
        return resource

    def write(self, row: E, findings: Findings) -> Json | None:
        """The row as a resource, or None where something required could not be written; `findings` says what."""
        key = self.key(row)
        resource: Json = {"resourceType": self.resource_type, "id": logical_id(self.system, key)}
        problems: Problems = []
        if self.rules.identifier is not None:
            self._put_identifier(resource, key)
        self._write(row, resource, problems)
        if problems:
            findings.extend(self._findings(problems, resource["id"], "not written"))
            return None
        return resource

    def _put_identifier(self, resource: Json, key: str) -> None:
        identifier = {"system": self.system, "value": key}
        resource["identifier"] = [identifier] if self._many_identifiers else identifier

    def _found_key(self, resource: Json) -> str | None:
        found = resource.get("identifier")
        for item in found if isinstance(found, list) else [found]:
            if isinstance(item, dict) and item.get("system") == self.system:
                value = item.get("value")
                return value if isinstance(value, str) else None
        return None

    def from_fhir(self, resource: Json) -> E:
        """The resource as a row; `InputError` names each element that could not be read."""
        findings = Findings()
        row = self.read(resource, findings)
        findings.raise_errors()
        assert row is not None  # a row is withheld only with an error
        return row

    def read(self, resource: Json, findings: Findings, known: Known | None = None) -> E | None:
        """The resource as a row, or None where a required field is missing; `findings` says what could not be read.

        `known` gives the identifiers of the resources at hand, for references that carry none.
        """
        values: dict[str, Any] = {}
        problems: Problems = []
        if (key := self._found_key(resource)) is not None:
            self._take_key(key, values, problems)
        self._read(resource, values, problems, known or {})
        for name, take in self._also:
            self.take_also(name, take, resource, values, problems)
        row: E | None = build(self.entity, values, "", problems)
        if problems:
            findings.extend(self._findings(problems, str(resource.get("id", "?")), "not read"))
        return row

    def _take_key(self, key: str, values: dict[str, Any], problems: Problems) -> None:
        parts = split_key(key)
        if len(parts) != len(self._key_types):
            problems.append(("identifier", BadValue(key, f"a key of {len(self._key_types)} parts ({', '.join(self.rules.key)})")))
            return
        for (name, python_type), part in zip(self._key_types, parts, strict=True):
            try:
                values[name] = key_part(part, python_type)
            except BadValue as problem:
                problems.append(("identifier", problem))

    @staticmethod
    def take_also(name: str, take: Callable[..., None], resource: Json, values: dict[str, Any], problems: Problems) -> None:
        """Read a field from another path; a value that differs from what is known is a problem."""
        found: dict[str, Any] = {}
        take(resource, found, problems, {})
        if name in found and values.setdefault(name, found[name]) != found[name]:
            problems.append((name, BadValue(None, "one value, and other elements give another")))

    def _findings(self, problems: Problems, identity: str, effect: str) -> list[Finding]:
        place = f"{self.resource_type}/{identity}"
        return [
            Finding(
                "cannot-be-mapped",
                place,
                field=path or None,
                found=None if p.found is None else str(p.found),
                expected=p.expected,
                effect=effect,
            )
            for path, p in problems
        ]

    def view(self) -> Json:
        """The ViewDefinition of the entity's own table: one column a field, no repeats."""
        return self.views()[self.rules.entity]

    def views(self) -> dict[str, Json]:
        """The ViewDefinitions by table name: the entity's own, and one for each repeat (`subject_dispositions`)."""
        return entity_views(self._compiled)

    def decode(self, raw: Mapping[str, pa.Table], findings: Findings) -> pa.Table:
        """The entity's table from what its views gave (raw tables by view name); `findings` says what could not be read."""
        return decode_tables(self._compiled, raw, findings)


def _constant_check(root: Node) -> Callable[[Json], bool]:
    """Whether a resource has the constants of a node: its own, those of its objects, and its fixed list items."""
    plain = tuple(root.constants.items())
    objects = [(name, _constant_check(child)) for name, child in root.objects.items()]
    fixed = [
        (name, _constant_check(item.node))
        for name, items in root.lists.items()
        for item in items
        if item.where and not has_fields(item.node)
    ]

    def check(node: Json) -> bool:
        return (
            all(node.get(name) == value for name, value in plain)
            and all(inner(child if isinstance(child := node.get(name), Mapping) else {}) for name, inner in objects)  # type: ignore[arg-type]
            and all(any(map(meets, objects_in(node.get(name)))) for name, meets in fixed)
        )

    return check
