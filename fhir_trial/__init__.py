"""Clinical-trial data to FHIR and back, and from there to endpoints, notebooks and registries."""
