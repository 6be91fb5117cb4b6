"""The loop as one object: open, pull, endpoints, publish, demo."""
