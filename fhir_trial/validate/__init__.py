"""Resources checked against HL7's definitions."""
