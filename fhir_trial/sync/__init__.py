"""Push and pull against FHIR servers: every conversation is a generator of requests; `client.Client` alone opens connections."""
