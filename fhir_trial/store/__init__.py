"""An embedded FHIR server over SQLite."""
