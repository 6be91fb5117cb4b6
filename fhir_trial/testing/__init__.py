"""Servers to test clients with: one in memory, and one on loopback that breaks in every known way."""
