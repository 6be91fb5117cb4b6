"""Registry records: a study's results as the registries take them, converted and compared."""

from fhir_trial.registry.results import results_record, results_xml
from fhir_trial.registry.rules import check

__all__ = ["check", "results_record", "results_xml"]
