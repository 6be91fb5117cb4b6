import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from fhir_trial.errors import ConfigurationError
from fhir_trial.store import Store, app, server

TOKEN = "a-token-for-tests"


@contextmanager
def serving(path: Path | str, token: str | None = TOKEN) -> Iterator[str]:
    store = Store(path)
    running, listening, base = server(store, token)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield base
    finally:
        running.should_exit = True
        thread.join()
        listening.close()
        store.close()


def session() -> requests.Session:
    opened = requests.Session()
    opened.headers["Authorization"] = f"Bearer {TOKEN}"
    return opened


def test_rows_written_over_http_survive_a_restart_of_the_server(tmp_path):
    person = {"resourceType": "Patient", "id": "p1", "gender": "female"}
    with serving(tmp_path / "s.db") as base, session() as client:
        made = client.put(f"{base}/Patient/p1", json=person, timeout=20)
        assert (made.status_code, made.headers["ETag"]) == (201, 'W/"1"')
        assert made.headers["Location"] == f"{base}/Patient/p1/_history/1"
        assert made.headers["Cache-Control"] == "no-store"
    with serving(tmp_path / "s.db") as base, session() as client:
        found = client.get(f"{base}/Patient", params={"gender": "female", "identifier:not": "urn:x|1"}, timeout=20).json()
        assert found["total"] == 1
        assert found["entry"][0]["fullUrl"] == f"{base}/Patient/p1"
        assert client.get(f"{base}/Patient/p1", headers={"If-None-Match": 'W/"1"'}, timeout=20).status_code == 304
        assert client.patch(f"{base}/Patient/p1", timeout=20).status_code == 405
        assert client.post(base, json={"resourceType": "Bundle", "type": "transaction"}, timeout=20).status_code == 200
        assert client.head(f"{base}/Patient/p1", timeout=20).status_code == 200
        assert client.delete(f"{base}/Patient/p1", timeout=20).status_code == 204


def test_the_token_is_needed_everywhere_but_for_metadata():
    with serving(":memory:") as base:
        for given in (None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer tökén".encode()):
            answer = requests.get(f"{base}/Patient", headers={"Authorization": given} if given else {}, timeout=20)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert TOKEN not in answer.text
        assert requests.get(f"{base}/metadata", timeout=20).json()["resourceType"] == "CapabilityStatement"
        for trick in ("metadata/../Patient", "metadata%2F..%2FPatient", "/metadata?x", "Patient?/metadata"):
            prepared = requests.Request("GET", f"{base}/Patient").prepare()
            prepared.url = f"{base}/{trick}"
            with requests.Session() as client:
                answer = client.send(prepared, timeout=20)
            assert answer.status_code == 401 or answer.json()["resourceType"] == "CapabilityStatement"


def test_a_body_beyond_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr("fhir_trial.store.web.MAX_BODY_BYTES", 1000)
    with serving(":memory:") as base, session() as client:
        assert client.post(f"{base}/Patient", data=b"x" * 2000, timeout=20).status_code == 413
        assert client.post(f"{base}/Patient", data=iter([b"x" * 600] * 2), timeout=20).status_code == 413


def test_without_a_token_only_this_machine_is_served():
    store = Store(":memory:")
    with pytest.raises(ConfigurationError, match="needs a bearer token"):
        server(store, None, "0.0.0.0")
    with pytest.raises(ConfigurationError, match="empty"):
        app(store, " ")
    with serving(":memory:", None) as base:
        assert requests.get(f"{base}/Patient", timeout=20).status_code == 200
    store.close()


def test_a_port_that_is_taken_is_named():
    store = Store(":memory:")
    _, listening, base = server(store, TOKEN)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        server(store, TOKEN, port=int(base.rpartition(":")[2].partition("/")[0]))
    listening.close()
    store.close()
