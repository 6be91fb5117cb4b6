"""What FHIR's types look like: the elements of every resource, data type and backbone element, and the search parameters.

A type name is a resource (`AdverseEvent`), a data type (`Quantity`) or a backbone path (`AdverseEvent.suspectEntity`).
A member is a FHIRPath name (`value`) or a JSON name (`valueQuantity`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, lru_cache

import msgspec

from fhir_trial.errors import UsageError
from fhir_trial.fhir.stored import Codes, Definitions, Invariant, SearchParameter, StoredElement, StoredType, read
from fhir_trial.fhir.versions import DEFAULT, version

__all__ = ["Element", "Invariant", "SearchParameter", "Shapes", "shapes"]


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type."""

    name: str
    """Its FHIRPath name: `value` for `value[x]`."""
    path: str
    """Where it is defined: `Observation.component.value`."""
    types: tuple[str, ...]
    """Type codes; a backbone's type is its own path; `Resource` stands for any resource."""
    min: int
    many: bool
    """Whether it may repeat: then JSON holds an array."""
    is_choice: bool
    json_names: Mapping[str, str]
    """The JSON name by type code: `{"Quantity": "valueQuantity", ...}`."""
    modifier: bool
    """Whether it can change the meaning of what holds it."""
    strength: str | None
    """`required`, `extensible`, `preferred`, `example`; None when it has no binding."""
    binding_url: str | None
    """The value set of its binding."""
    targets: tuple[str, ...]
    """The resource types its reference may lead to; () = any."""
    invariants: tuple[Invariant, ...] = field(repr=False)
    """Constraints on each value of this element, beside those of its type."""
    codes_by_system: Mapping[str, frozenset[str]] | None = field(repr=False)
    """The codes of a required binding by code system, where HL7's packages hold them all; else None."""
    binding: frozenset[str] | None = field(repr=False)
    """The codes of that binding whatever the system; else None."""

    def types_as(self, member: str) -> tuple[str, ...]:
        """The types it can have when reached by the name `member`: one for `valueQuantity`, all for `value`."""
        return tuple(t for t, name in self.json_names.items() if name == member) or self.types


def _json_name(name: str, type_code: str) -> str:
    """The JSON name of a choice element.

    >>> _json_name("value", "dateTime")
    'valueDateTime'
    """
    return name + type_code[0].upper() + type_code[1:]


class Shapes:
    """The types of one FHIR version, decoded as they are asked for."""

    def __init__(self, definitions: Definitions) -> None:
        """Hold `definitions`, undecoded."""
        self._definitions = definitions
        self._types: dict[str, StoredType] = {}
        self._elements: dict[str, dict[str, Element]] = {}
        self._members: dict[str, dict[str, Element]] = {}
        self._value_sets: dict[str, dict[str, frozenset[str]] | None] = {}
        self._search: dict[str, dict[str, SearchParameter]] = {}
        self.number = definitions.number
        """HL7's number of the version: `4.0.1`."""

    @cached_property
    def resource_types(self) -> frozenset[str]:
        """The concrete resource types."""
        return frozenset(self._definitions.names)

    @cached_property
    def types(self) -> frozenset[str]:
        """Every type name: resources, data types, primitives, abstract types and backbone paths."""
        return frozenset(self._definitions.types)

    def _type(self, type_name: str) -> StoredType:
        """One type decoded; `UsageError` when this version has none of that name."""
        if type_name not in self._types:
            if type_name not in self._definitions.types:
                close = get_close_matches(type_name, self._definitions.types, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise UsageError(f"FHIR {self.number} has no type {type_name!r}{hint}")
            self._types[type_name] = msgspec.json.decode(self._definitions.types[type_name], type=StoredType)
        return self._types[type_name]

    def kind(self, type_name: str) -> str:
        """`resource`, `complex-type`, `primitive-type` or `backbone`."""
        return self._type(type_name).kind

    def base(self, type_name: str) -> str | None:
        """The type this one specializes: `DomainResource` for `Patient`."""
        return self._type(type_name).base

    def is_a(self, type_name: str, ancestor: str) -> bool:
        """Whether `type_name` is `ancestor` or specializes it, directly or not.

        >>> shapes("r4").is_a("Age", "Quantity"), shapes("r4").is_a("Bundle", "DomainResource")
        (True, False)
        """
        name: str | None = type_name
        while name is not None and name in self._definitions.types:
            if name == ancestor:
                return True
            name = self.base(name)
        return False

    def is_primitive(self, type_name: str) -> bool:
        """Whether values of the type are JSON strings, numbers or booleans.

        >>> shapes("r4").is_primitive("dateTime"), shapes("r4").is_primitive("Period")
        (True, False)
        """
        return self.kind(type_name) == "primitive-type"

    def invariants(self, type_name: str) -> tuple[Invariant, ...]:
        """The constraints of a type, inherited ones first."""
        stored = self._type(type_name)
        inherited = self.invariants(stored.base) if stored.base and stored.base in self._definitions.types else ()
        return inherited + stored.invariants

    def elements(self, type_name: str) -> dict[str, Element]:
        """The elements of a type by FHIRPath name, in HL7's order, inherited ones included.

        >>> list(shapes("r4").elements("Period"))
        ['id', 'extension', 'start', 'end']
        """
        if type_name not in self._elements:
            stored = self._type(type_name).elements
            self._elements[type_name] = {name: self._element(f"{type_name}.{name}", element) for name, element in stored.items()}
        return self._elements[type_name]

    def _element(self, path: str, stored: StoredElement) -> Element:
        """One stored element with its names and codes."""
        name = path.rpartition(".")[2]
        systems = self.value_set(stored.value_set) if stored.strength == "required" and stored.value_set else None
        return Element(
            name=name,
            path=path,
            types=stored.types,
            min=stored.min,
            many=stored.many,
            is_choice=stored.choice,
            json_names={t: _json_name(name, t) if stored.choice else name for t in stored.types},
            modifier=stored.modifier,
            strength=stored.strength,
            binding_url=stored.value_set,
            targets=stored.targets,
            invariants=stored.invariants,
            codes_by_system=systems,
            binding=frozenset().union(*systems.values()) if systems is not None else None,
        )

    def members(self, type_name: str) -> dict[str, Element]:
        """The elements of a type by every name they go by: FHIRPath and JSON names."""
        if type_name not in self._members:
            elements = self.elements(type_name)
            named = {json_name: e for e in elements.values() for json_name in e.json_names.values()}
            self._members[type_name] = named | elements
        return self._members[type_name]

    def element(self, type_name: str, member: str) -> Element | None:
        """The element `member` of a type, or None when the version has no such type or element.

        >>> shapes("r4").element("AdverseEvent.suspectEntity", "instance").targets[:2]
        ('Device', 'Immunization')
        >>> shapes("r4").element("Observation", "valueQuantity").name
        'value'
        >>> shapes("r5").element("MedicationAdministration", "occurrenceDateTime") is None  # R5 spells it occurence
        True
        """
        return self.members(type_name).get(member) if type_name in self._definitions.types else None

    def suggest(self, type_name: str, member: str) -> str | None:
        """The member of a type that a misspelt one most resembles, or None.

        >>> shapes("r5").suggest("MedicationAdministration", "occurrenceDateTime")
        'occurenceDateTime'
        """
        members = self.members(type_name) if type_name in self._definitions.types else {}
        same_letters = next((name for name in members if name.lower() == member.lower()), None)
        return same_letters or next(iter(get_close_matches(member, members, n=1)), None)

    def value_set(self, url: str) -> dict[str, frozenset[str]] | None:
        """The codes by system of a value set that some required binding names; None when not all its codes are known."""
        if url not in self._value_sets:
            raw = self._definitions.value_sets.get(url)
            codes = msgspec.json.decode(raw, type=Codes) if raw is not None else None
            self._value_sets[url] = {system: frozenset(c) for system, c in codes.items()} if codes is not None else None
        return self._value_sets[url]

    def search_parameters(self, resource_type: str) -> dict[str, SearchParameter]:
        """The search parameters of a resource type by name, those of all resources (`_id`, `_lastUpdated`) included.

        >>> shapes("r4").search_parameters("ResearchSubject")["study"].expression
        'ResearchSubject.study'
        """
        if resource_type not in self._search:
            base = self.base(resource_type)
            inherited = self.search_parameters(base) if base else {}
            raw = self._definitions.search.get(resource_type)
            own = msgspec.json.decode(raw, type=list[SearchParameter]) if raw is not None else []
            self._search[resource_type] = inherited | {parameter.name: parameter for parameter in own}
        return self._search[resource_type]


@lru_cache
def shapes(fhir: str = DEFAULT) -> Shapes:
    """The shapes of a FHIR version by its name; read once."""
    return Shapes(read(version(fhir).definitions()))
