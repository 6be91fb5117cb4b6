"""An authorization server that breaks in every way a FHIR server does: one named error in time, and nobody else hears of the assertion."""

import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fhir_trial.config import Secret, Server
from fhir_trial.errors import ConfigurationError, FhirTrialError, ServerError, Unreachable
from fhir_trial.fhir.http import Request, Response
from fhir_trial.sync import sign_in
from fhir_trial.sync.sign_in import Backend, Renewing
from fhir_trial.testing.acts import SUBJECT_DATA
from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.faults import READ_FAULTS, WRITE_FAULTS, Fault

pytestmark = pytest.mark.thorough

FAULTS = {
    name: replace(fault, where="write", times=None)
    for name, fault in {**READ_FAULTS, **WRITE_FAULTS}.items()
    if fault.times is None and not fault.recovers
}
SECONDS, SLACK_SECONDS = 1.0, 8.0
CONFIGURATIONS = {
    "on another host": '{{"token_endpoint": "{elsewhere}/token"}}',
    "without TLS": '{{"token_endpoint": "http://192.0.2.1/token"}}',
    "with a user": '{{"token_endpoint": "http://user:secret@{host}/token"}}',
    "to a file": '{{"token_endpoint": "file:///etc/passwd"}}',
    "with a query": '{{"token_endpoint": "http://{host}/token?a=b"}}',
    "a number": '{{"token_endpoint": 17}}',
    "absent": "{{}}",
    "no object": "[]",
    "no JSON": "<html>",
}


@dataclass
class Ending:
    """How a sign-in ended."""

    error: BaseException | None
    seconds: float
    heard: list[object]


@pytest.fixture(scope="module", autouse=True)
def key():
    private = ec.generate_private_key(ec.SECP384R1())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAULT_TEST_KEY", private.private_bytes(*form).decode())
        patch.setattr(sign_in, "SECONDS", SECONDS)
        yield


def signing_in(server: FaultServer, token_url: str | None) -> Ending:
    settings = Server(
        "hospital", server.base_url, sign_in="backend", client_id="c", key=Secret.parse("env:FAULT_TEST_KEY"), token_url=token_url
    )
    started, error = time.monotonic(), None
    with server.serving():
        try:
            Renewing(Backend(settings)).authorization()
        except BaseException as raised:
            error = raised
    return Ending(error, time.monotonic() - started, list(server.heard))


@pytest.fixture(scope="module")
def endings(key):
    def play(fault: Fault) -> Ending:
        server = FaultServer(fault)
        return signing_in(server, f"{server.base_url}/token")

    with ThreadPoolExecutor(8) as pool:
        yield {name: pool.submit(play, fault) for name, fault in FAULTS.items()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_token_endpoint_that_breaks_ends_with_one_error_in_time(name: str, endings):
    end = endings[name].result()
    assert isinstance(end.error, ServerError | Unreachable | ConfigurationError)
    assert end.seconds < 3 * SECONDS + SLACK_SECONDS
    assert end.heard == []
    said = "".join(traceback.format_exception(end.error))
    assert not [word for word in (*SUBJECT_DATA.split(), "client_assertion", "eyJ", "PRIVATE KEY") if word in said]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_that_leads_nowhere_good_is_one_error(name: str):
    server = FaultServer(None)
    host = server.base_url.removeprefix("http://").removesuffix("/fhir")
    stated = CONFIGURATIONS[name].format(elsewhere=server.elsewhere, host=host)

    def answer(request: Request) -> Response:
        return Response(200, {"Content-Type": "application/json"}, stated.encode())

    server.memory.handle = answer  # type: ignore[method-assign]
    end = signing_in(server, None)
    assert isinstance(end.error, FhirTrialError)
    assert isinstance(end.error, ConfigurationError)
    assert end.seconds < 3 * SECONDS + SLACK_SECONDS
    # an authorization server may be another host, as hospitals have it: it is sent what is made for it alone, and no token
    assert [path for path, _, _ in end.heard] == (["/fhir/token"] if name == "on another host" else [])
    assert all("Authorization" not in headers for _, headers, _ in end.heard)
