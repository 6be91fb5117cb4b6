"""SQL-on-FHIR ViewDefinitions run over resources into Arrow tables."""
