"""What keeps people apart from their data: pseudonyms, de-identification, the map of record numbers, and the audit log."""
