"""RECIST, time to event, survival, safety and exposure: from tables to results."""
