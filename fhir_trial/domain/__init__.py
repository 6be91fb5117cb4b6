"""Entities, their tables, the study definition and results: the vocabulary every other room shares."""
