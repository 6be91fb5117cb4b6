"""Registry records: results as PRS XML and ClinicalTrials.gov JSON."""
