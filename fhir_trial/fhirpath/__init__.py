"""One FHIRPath parser and typed tree, checked against a version's shapes."""
