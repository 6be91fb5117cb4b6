"""One FHIRPath parser and typed tree, checked against a version's shapes, compiled to closures."""

from fhir_trial.fhirpath.checker import check
from fhir_trial.fhirpath.compiler import CompiledPath, compile_path, compile_typed
from fhir_trial.fhirpath.errors import FhirPathError
from fhir_trial.fhirpath.kinds import Field, Kind, Typed
from fhir_trial.fhirpath.parser import parse
from fhir_trial.fhirpath.syntax import Path

__all__ = ["CompiledPath", "FhirPathError", "Field", "Kind", "Path", "Typed", "check", "compile_path", "compile_typed", "parse"]
