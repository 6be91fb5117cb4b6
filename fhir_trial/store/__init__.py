"""An embedded FHIR server over SQLite: `handle(store, request) -> response`, and a thin HTTP rim around it."""

from fhir_trial.store.database import Store
from fhir_trial.store.server import BASE, handle
from fhir_trial.store.web import app, serve, server

__all__ = ["BASE", "Store", "app", "handle", "serve", "server"]
