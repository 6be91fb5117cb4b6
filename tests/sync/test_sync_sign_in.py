"""Signing in: as a program by a signed assertion, as a person by the browser, in time, once on a 401, and telling nobody else."""

import json
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fhir_trial.config import Secret, Server
from fhir_trial.errors import ConfigurationError
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.sync.capability import discover
from fhir_trial.sync.client import Client
from fhir_trial.sync.launch import Launch
from fhir_trial.sync.pull import pull_to_memory
from fhir_trial.sync.sign_in import Backend, Renewing, sign_in_for
from fhir_trial.sync.tokens import Token, TokenRefused, assertion, backend_token, checked, discover_endpoints
from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.token_server import CLIENT, TokenServer


def pem(key) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


@pytest.fixture(scope="module")
def keys():
    """Private keys by name: RSA, and EC of P-384."""
    return {"rsa": rsa.generate_private_key(65537, 2048), "ec": ec.generate_private_key(ec.SECP384R1())}


def written(keys, form: str) -> tuple[str, str]:
    """A private key's text in one form, and the id under which the server knows its public key."""
    if form.endswith("pem"):
        return pem(keys[form[:-4]]), ""
    name = form.partition(" ")[0]
    algorithm = {"rsa": jwt.algorithms.RSAAlgorithm, "ec": jwt.algorithms.ECAlgorithm}[name]
    stated = {**algorithm.to_jwk(keys[name], as_dict=True), "kid": f"{name}-1"}
    return json.dumps({"keys": [stated]} if form.endswith("jwks") else stated), f"{name}-1"


@pytest.fixture
def server(keys):
    known = {"": keys["rsa"].public_key(), "rsa-1": keys["rsa"].public_key(), "ec-1": keys["ec"].public_key()}
    with TokenServer(known).serving() as server:
        server.memory.held["Patient/p"] = {"resourceType": "Patient", "id": "p"}
        yield server


@pytest.fixture
def settings(server, keys, monkeypatch):
    monkeypatch.setenv("TEST_KEY", pem(keys["rsa"]))
    return Server("hospital", server.base_url, sign_in="backend", client_id=CLIENT, key=Secret.parse("env:TEST_KEY"), deadline_seconds=5)


@pytest.mark.parametrize("form", ["rsa pem", "rsa jwk", "rsa jwks", "ec jwk", "ec jwks", "ec pem"])
def test_a_program_signs_in_with_its_key(form, server, settings, keys, monkeypatch):
    text, key_id = written(keys, form)
    server.public_keys[""] = keys[form.partition(" ")[0]].public_key()
    monkeypatch.setenv("TEST_KEY", text)
    with Client(settings) as client:
        assert client.run(pull_to_memory(["Patient"])).counts == {"Patient": 1}
        client.run(pull_to_memory(["Patient"]))
    assert server.grants == ["client_credentials"]
    assert "system/ResearchSubject.rs" in server.scopes[0]
    assert server.problems == []
    assert key_id in server.public_keys


def test_a_token_is_renewed_before_it_ends(server, settings):
    server.expires_in = 0.4
    with Client(settings) as client:
        for _ in range(5):
            assert client.send(Request("GET", "Patient/p")).status == 200
            time.sleep(0.15)
    assert 2 <= len(server.grants) <= 4


def test_a_token_that_is_refused_is_renewed_once(server, settings):
    with Client(settings) as client:
        assert client.send(Request("GET", "Patient/p")).status == 200
        server.revoke()
        assert client.send(Request("PUT", "Patient/q", body=b'{"resourceType":"Patient","id":"q"}')).status == 201
        assert len(server.grants) == 2
        server.is_signed_in = lambda _: False
        assert client.send(Request("GET", "Patient/p")).status == 401
        assert len(server.grants) == 3
    assert server.memory.writes == 1


def test_threads_share_one_token(server, settings):
    with Client(settings) as client:
        results = list(client.run_all(discover(server.base_url) for _ in range(8)))
    assert len(results) == 8
    assert len(server.grants) == 1


def test_many_threads_whose_token_is_refused_get_one_new(server, settings):
    sign_in = Renewing(Backend(settings))
    used = sign_in.authorization()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: sign_in.renew(used), range(8)))
    assert len(server.grants) == 2


def test_a_clock_that_is_wrong_is_allowed_for(server, settings):
    server.skew_seconds = -3600.0
    with Client(settings) as client:
        assert client.send(Request("GET", "Patient/p")).status == 200
    assert server.problems == []


def test_a_busy_authorization_server_is_asked_again_with_another_assertion(server, settings):
    server.busy = 2
    with Client(settings) as client:
        assert client.send(Request("GET", "Patient/p")).status == 200
    assert server.problems == []


def test_who_is_refused_is_told_so_without_what_the_server_said(server, settings):
    server.accepts = False
    with Client(settings) as client, pytest.raises(TokenRefused, match=r"400 \(invalid_client\)") as refused:
        client.send(Request("GET", "Patient/p"))
    text = "".join(traceback.format_exception(refused.value))
    assert refused.value.exit_code == 3
    assert "Zebulon" not in text
    assert "eyJ" not in text
    assert "PRIVATE" not in text


@pytest.mark.parametrize(
    "key", ["", "nonsense", '{"kty":"RSA"}', '{"keys":[]}', "{", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_key_is_said_and_not_shown(key: str):
    with pytest.raises(ConfigurationError, match="key: expected") as refused:
        assertion("c", key, "https://h.example/token", 0.0)
    assert "AAAA" not in str(refused.value)


def test_an_assertion_is_short_lived_and_never_the_same(keys):
    first, second = (assertion("c", pem(keys["ec"]), "https://h.example/token", 1000.0) for _ in range(2))
    assert first != second
    assert jwt.get_unverified_header(first)["alg"] == "ES384"
    claims = jwt.decode(first, keys["ec"].public_key(), ["ES384"], audience="https://h.example/token", options={"verify_exp": False})
    assert (claims["iss"], claims["sub"], claims["exp"]) == ("c", "c", 1240)


@pytest.mark.parametrize(
    "url", ["http://h.example/token", "https://u:p@h.example/token", "ftp://h.example", "https://h.example/t?x=1", "x"]
)
def test_a_token_is_asked_for_over_tls_only(url: str):
    with pytest.raises(ConfigurationError):
        checked(url)
    body = json.dumps({"token_endpoint": url}).encode()
    with pytest.raises(ConfigurationError):
        run(discover_endpoints(0.0), lambda _: Response(200, {}, body))


ANSWERS = {
    "no JSON": b"<html>",
    "no token": b'{"token_type":"bearer"}',
    "another type": b'{"access_token":"a","token_type":"mac"}',
    "a line break": b'{"access_token":"a\\r\\nX: y","token_type":"bearer"}',
    "a number": b'{"access_token":7,"token_type":"bearer"}',
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_holds_no_token_is_refused(name: str):
    endpoints = run(discover_endpoints(0.0), lambda _: Response(200, {}, b'{"token_endpoint":"https://h.example/token"}'))
    with pytest.raises(TokenRefused):
        run(backend_token(endpoints, "c", "x", "s"), lambda _: Response(200, {}, ANSWERS[name]))


def test_a_server_without_configuration_is_said():
    with pytest.raises(ConfigurationError, match="set token_url"):
        run(discover_endpoints(0.0), lambda _: Response(404))


def launch(server: TokenServer, **how: object) -> Launch:
    settings = Server("hospital", server.base_url, sign_in="launch", client_id=CLIENT)
    return Launch(settings, **{"open_url": lambda url: urlopen(url, timeout=5).read(), "wait_seconds": 5.0, **how})


def test_a_person_signs_in_by_the_browser_once_and_is_renewed_without(server):
    opened: list[str] = []

    def browser(url: str) -> None:
        opened.append(url)
        urlopen(url, timeout=5).read()

    person = launch(server, open_url=browser)
    first = person(None)
    second = person(first)
    assert (first.access, second.access) != (None, None)
    assert server.grants == ["authorization_code", "refresh_token"]
    assert len(opened) == 1
    asked = parse_qs(urlsplit(opened[0]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"][0].startswith("http://127.0.0.1:")
    assert "code_verifier" not in opened[0]
    # A refresh token that holds no more leads back to the browser.
    assert person(Token("x", 1.0, "gone")).access
    assert len(opened) == 2


def test_an_answer_without_our_state_is_not_believed(server):
    def attacker(url: str) -> None:
        redirect = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        for path in ("?code=evil&state=guess", "?code=evil", "/other?code=evil"):
            with pytest.raises(OSError, match="400"):
                urlopen(redirect + path, timeout=5)

    with pytest.raises(TokenRefused, match="nobody signed in"):
        launch(server, open_url=attacker, wait_seconds=0.3)(None)


def test_a_person_who_is_not_let_in_is_said(server):
    server.accepts = False
    with pytest.raises(TokenRefused, match="did not let"):
        launch(server)(None)


WRONG = [
    ({"sign_in": "magic"}, "none of none, bearer"),
    ({"sign_in": "bearer"}, "needs token"),
    ({"sign_in": "basic", "user": "u"}, "needs user and password"),
    ({"sign_in": "backend", "client_id": "c"}, "client_id and key"),
    ({"sign_in": "launch"}, "client_id"),
]


@pytest.mark.parametrize(("stated", "message"), WRONG)
def test_what_is_missing_is_said(stated: dict, message: str):
    with pytest.raises(ConfigurationError, match=message):
        sign_in_for(Server("s", "https://h.example/fhir", **stated))


def test_a_user_and_a_password_go_to_the_server_and_nowhere_else(monkeypatch):
    monkeypatch.setenv("TEST_PASSWORD", "pass word")
    server = FaultServer(None)
    with server.serving():
        settings = Server("s", server.base_url, sign_in="basic", user="u", password=Secret.parse("env:TEST_PASSWORD"))
        with Client(settings) as client:
            client.run(pull_to_memory(["Patient"]))
        assert server.memory.log[0].header("Authorization") == "Basic dTpwYXNzIHdvcmQ="
        assert "pass word" not in repr(settings)


def test_nobody_sends_no_header():
    server = FaultServer(None)
    with server.serving(), Client(Server("s", server.base_url)) as client:
        client.run(pull_to_memory(["Patient"]))
    assert server.memory.log[0].header("Authorization") is None
