"""All entities' rules of one version, as one mapping: which entity a resource is, and its rows."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fhir_trial.domain.entities import ENTITIES, Entity
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.errors import UsageError
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import DEFAULT, version
from fhir_trial.mapping.compile import Compiler
from fhir_trial.mapping.entity_map import EntityMap
from fhir_trial.mapping.errors import RuleError
from fhir_trial.mapping.rules import RuleSet, load_rules


class RuleMapping(Mapping[str, EntityMap[Any]]):
    """The compiled rules of every entity in one version of FHIR, by entity name."""

    def __init__(self, rules: RuleSet, fhir: str, entities: Mapping[str, type[Entity]]) -> None:
        """Compile all of them; `RuleError` names the first rule that cannot be used."""
        self.fhir = fhir
        self._maps: dict[str, EntityMap[Any]] = {}
        for name in sorted(rules.entities, key=lambda n: list(entities).index(n) if n in entities else -1):
            if name not in entities:
                raise RuleError(f"{name}: no such entity ({', '.join(entities)})")
            try:
                compiled = Compiler(rules.entities[name], rules, entities, shapes(fhir)).compile()
            except RuleError as error:
                raise RuleError(f"{fhir} {name}: {error}", f"mappings/{name}.yaml") from error
            self._maps[name] = EntityMap(compiled, shapes(fhir))
        self._of_type: dict[str, list[EntityMap[Any]]] = {}
        for rules_of in self._maps.values():
            self._of_type.setdefault(rules_of.resource_type, []).append(rules_of)

    def __getitem__(self, entity: str) -> EntityMap[Any]:
        """The rules of an entity; `UsageError` names those there are."""
        if entity not in self._maps:
            raise UsageError(f"no rules for {entity!r}; there are rules for {', '.join(self._maps)}")
        return self._maps[entity]

    def __contains__(self, entity: object) -> bool:
        """Whether the entity has rules."""
        return entity in self._maps

    def __iter__(self) -> Iterator[str]:
        """The entities, each after those it refers to."""
        return iter(self._maps)

    def __len__(self) -> int:
        """How many entities have rules."""
        return len(self._maps)

    def entity_of(self, resource: Mapping[str, Any]) -> str | None:
        """The entity whose rows such a resource is: by our identifier, else by its constants; None where no entity or several fit."""
        of_type, systems = self._candidates(resource)
        ours = [m for m in of_type if m.system in systems]
        fitting = ours or [m for m in of_type if m.matches(dict(resource))]
        return fitting[0].rules.entity if len(fitting) == 1 else None

    def carried(self, resource: Mapping[str, Any]) -> list[str]:
        """The entities whose business identifier the resource carries, and those that have none and whose constants it has."""
        of_type, systems = self._candidates(resource)
        return [m.rules.entity for m in of_type if (m.system in systems if m.rules.identifier else m.matches(dict(resource)))]

    def _candidates(self, resource: Mapping[str, Any]) -> tuple[list[EntityMap[Any]], set[str]]:
        """The rules for the resource's type, and the systems of its identifiers."""
        resource_type = resource.get("resourceType")
        of_type = self._of_type.get(resource_type, []) if isinstance(resource_type, str) else []
        return of_type, {system for i in _identifiers(resource) if isinstance(system := i.get("system"), str)}


def _identifiers(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = resource.get("identifier")
    return [i for i in (found if isinstance(found, list) else [found]) if isinstance(i, dict)]


@cache
def _packaged(fhir: str) -> RuleMapping:
    return RuleMapping(load_rules(fhir), fhir, ENTITIES)


def load(fhir: str = DEFAULT, study: StudyDefinition | None = None, folder: Path | None = None) -> RuleMapping:
    """The mapping of a FHIR version, with a study's own code tables laid over the package's.

    >>> sorted(load("r4"))[:3]
    ['adverse_event', 'body_measure', 'condition']
    """
    name = version(fhir).name
    if folder is None and (study is None or not study.codes):
        return _packaged(name)
    return RuleMapping(load_rules(name, study, folder), name, ENTITIES)
