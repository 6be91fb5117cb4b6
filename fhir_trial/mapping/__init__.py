"""Reversible rules between domain rows and FHIR resources."""
