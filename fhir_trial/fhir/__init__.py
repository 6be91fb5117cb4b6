"""FHIR itself: versions, definitions, shapes, HTTP values, Bundles and OperationOutcome."""
