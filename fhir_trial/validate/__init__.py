"""Resources checked against HL7's definitions: structure, types, required bindings, references and invariants."""

from fhir_trial.validate.files import validate_files
from fhir_trial.validate.findings import validate

__all__ = ["validate", "validate_files"]
