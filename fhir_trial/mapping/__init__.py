"""Reversible rules between domain rows and FHIR resources."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fhir_trial.mapping.entity_map import EntityMap
    from fhir_trial.mapping.mapping import RuleMapping, load

__all__ = ["EntityMap", "RuleMapping", "load"]
_HOMES = {"EntityMap": "entity_map", "RuleMapping": "mapping", "load": "mapping"}


def __getattr__(name: str) -> Any:
    """The rule engine, once it is asked for: who only needs a key's system need not load it."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
