"""Trial data and study definitions read from the formats that sites and sponsors use."""
