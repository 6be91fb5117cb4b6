"""A seeded synthetic cohort, for demonstration and tests only."""
