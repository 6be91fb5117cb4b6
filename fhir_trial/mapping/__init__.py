"""Reversible rules between domain rows and FHIR resources."""

from fhir_trial.mapping.entity_map import EntityMap
from fhir_trial.mapping.mapping import RuleMapping, load

__all__ = ["EntityMap", "RuleMapping", "load"]
