"""Pushing to and pulling from FHIR servers."""
