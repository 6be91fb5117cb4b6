"""A seeded synthetic cohort of a study, marked synthetic; nothing in it is about a real person."""

from fhir_trial.simulate.cohort import simulate, write_cohort

__all__ = ["simulate", "write_cohort"]
