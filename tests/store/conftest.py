from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fhir_trial.fhir import json
from fhir_trial.fhir.http import Request, Response
from fhir_trial.store import Store, handle

Ask = Callable[..., Response]


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(":memory:")
    yield opened
    opened.close()


@pytest.fixture
def ask(store: Store) -> Ask:
    """Ask the store: `ask("PUT", "Patient/p1", {...}, If_Match='W/"1"')`."""

    def send(method: str, url: str, body: Any = None, **headers: str) -> Response:
        data = body if isinstance(body, bytes) else None if body is None else json.encode(body)
        return handle(store, Request(method, url, {name.replace("_", "-"): value for name, value in headers.items()}, data))

    return send
