"""Where requests go and where they do not, what they carry, and how an answer is read."""

import gzip
import logging
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import responses

from fhir_trial.errors import ConfigurationError
from fhir_trial.fhir.http import Request
from fhir_trial.sync.failures import AnswerError, BadAnswer, ForeignLink, Interrupted, NotConnected, SignInRefused, refusal, resource_type
from fhir_trial.sync.origin import Origin
from fhir_trial.sync.pull import TRIAL_TYPES
from fhir_trial.sync.transport import Transport
from fhir_trial.testing.acts import SUBJECT_DATA, body, bomb
from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.faults import READ_FAULTS, Fault

BASE = "https://fhir.example.org/r4"


@pytest.fixture
def transport():
    return Transport(BASE, lambda: "Bearer t0ken", limit_bytes=10_000)


@responses.activate
def test_a_request_carries_the_token_and_asks_for_fhir(transport):
    responses.get("https://fhir.example.org:443/r4/Patient", json={"a": 1}, headers={"ETag": 'W/"1"'})
    response = transport.send(Request("GET", "Patient"), 5)
    assert (response.status, response.json(), response.header("etag")) == (200, {"a": 1}, 'W/"1"')
    sent = responses.calls[0].request.headers
    assert (sent["Authorization"], sent["Accept"], sent["Accept-Encoding"]) == ("Bearer t0ken", "application/fhir+json", "gzip")
    assert "t0ken" not in repr(transport)


@responses.activate
def test_a_transaction_goes_to_the_base_itself(transport):
    responses.post("https://fhir.example.org:443/r4/", json={})
    transport.send(Request("POST", "", body=b"{}"), 5)
    assert responses.calls[0].request.headers["Content-Type"] == "application/fhir+json"


@responses.activate
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(transport, status: int):
    responses.post("https://fhir.example.org:443/r4/", status=status, headers={"Location": f"https://evil.example/?{SUBJECT_DATA}"})
    with pytest.raises(ForeignLink, match=str(status)) as raised:
        transport.send(Request("POST", "", body=b"data"), 5)
    assert len(responses.calls) == 1
    assert SUBJECT_DATA not in str(raised.value)


FOREIGN = [
    "https://evil.example/r4/Patient",
    "https://evil.example/?u=https://fhir.example.org/r4/Patient",
    "https://fhir.example.org@evil.example/r4/Patient",
    "https://user:x@fhir.example.org/r4/Patient",
    "https://fhir.example.org.evil.example/r4/Patient",
    "https://fhir.example.org:8443/r4/Patient",
    "http://fhir.example.org/r4/Patient",
    "//evil.example/r4/Patient",
    "https://evil.example\\@fhir.example.org/r4/Patient",
    "https://fhir.example.org\\.evil.example/r4",
    "https:///evil.example/r4",
    "file:///r4/Patient",
    "https://fhir.example.org/other/Patient",
    "https://fhir.example.org/r4x/Patient",
    "https://fhir.example.org/r4/../admin",
    "https://fhir.example.org/r4/%2e%2e/admin",
    "https://fhir.example.org/r4/%252e%252e/admin",
    "https://fhir.example.org/r4/..%5cadmin",
    "../admin",
    "/admin",
    "/",
    "https://fhir.example.org/r4/Patient\r\nX: y",
    "https://fhir.example.org\t/r4/Patient",
    "https://fhir.éxample.org/r4/Patient",
    "https://[::1",
    "https://fhir.example.org:99999/r4",
]

OURS = {
    "Patient?a=b": "https://fhir.example.org:443/r4/Patient?a=b",
    "https://fhir.example.org/r4/Patient?identifier=s|1": "https://fhir.example.org:443/r4/Patient?identifier=s|1",
    "https://FHIR.example.org:443/r4?_getpages=1": "https://fhir.example.org:443/r4?_getpages=1",
    "/r4/Patient": "https://fhir.example.org:443/r4/Patient",
    "https:evil.example/r4": "https://fhir.example.org:443/r4/evil.example/r4",
    "": "https://fhir.example.org:443/r4/",
    "Patient#https://evil.example": "https://fhir.example.org:443/r4/Patient",
}


@responses.activate
@pytest.mark.parametrize("url", FOREIGN)
def test_nothing_goes_elsewhere(transport, url: str):
    with pytest.raises(ForeignLink):
        transport.send(Request("GET", url), 5)
    assert len(responses.calls) == 0


@pytest.mark.parametrize("url", OURS)
def test_links_of_ours_are_written_anew(url: str):
    assert Origin.parse(BASE).resolve(url) == OURS[url]


@pytest.mark.parametrize(
    "base",
    [
        "http://fhir.example.org/r4",
        "ftp://h/r4",
        "fhir.example.org",
        "https://u:p@h/r4",
        "https://h/r4?x=1",
        "https://h/#x",
        "https://",
        "",
    ],
)
def test_a_base_url_that_is_none_or_unsafe(base: str):
    with pytest.raises(ConfigurationError):
        Transport(base)


@pytest.mark.parametrize("base", ["http://127.0.0.1:8080/fhir", "http://localhost/fhir", "http://[::1]:9/fhir"])
def test_loopback_needs_no_tls(base: str):
    assert Transport(base).origin.is_loopback


@responses.activate
def test_answers_are_bounded_once_decoded(transport):
    packed = gzip.compress(b" " * 10_001)
    responses.get(
        "https://fhir.example.org:443/r4/A", body=packed, headers={"Content-Encoding": "gzip"}, auto_calculate_content_length=True
    )
    responses.get("https://fhir.example.org:443/r4/B", body=gzip.compress(b" " * 10_000), headers={"Content-Encoding": "gzip"})
    responses.get("https://fhir.example.org:443/r4/C", body=b" " * 10_001)
    for path in "AC":
        with pytest.raises(BadAnswer, match="larger than 10000 bytes"):
            transport.send(Request("GET", path), 5)
    assert len(transport.send(Request("GET", "B"), 5).body) == 10_000


ENDLESS = [name for name in READ_FAULTS if "without end" in name and "pages" not in name]


@pytest.mark.parametrize("name", [*ENDLESS, "100 Continue for ever"])
def test_what_never_ends_is_cut_by_its_size_and_not_by_patience(name: str):
    server = FaultServer(READ_FAULTS[name])
    transport = Transport(server.base_url, limit_bytes=1_000_000)
    started = time.monotonic()
    with server.serving(), pytest.raises((BadAnswer, Interrupted)):
        transport.send(Request("GET", "Observation?_count=10&_offset=10"), 60)
    assert time.monotonic() - started < 10
    assert transport._budget.bytes_left > -200_000


def test_a_server_that_is_not_there_was_sent_nothing():
    with pytest.raises(NotConnected):
        Transport("http://127.0.0.1:9/fhir").send(Request("GET", "Patient?name=Zebulon"), 2)


def test_no_query_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    server = FaultServer(None)
    with server.serving():
        transport = Transport(server.base_url)
        transport.send(Request("GET", "Patient?identifier=Zebulon"), 5)
        transport.close()
    assert "Zebulon" not in caplog.text


def test_netrc_does_not_replace_the_token(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server = FaultServer(None)
    with server.serving():
        transport = Transport(server.base_url, lambda: "Bearer t0ken")
        transport.send(Request("GET", "Patient"), 5)
        transport.close()
    assert server.memory.log[0].header("Authorization") == "Bearer t0ken"


@responses.activate
def test_a_refusal_says_what_may_be_said():
    issue = {"severity": "error", "code": "invariant", "diagnostics": SUBJECT_DATA, "expression": ["Observation.value[0]"]}
    other = {"severity": "error", "code": SUBJECT_DATA, "expression": [f"Patient.where(name='{SUBJECT_DATA}')"]}
    body = {"resourceType": "OperationOutcome", "issue": [issue, other]}
    responses.get("https://fhir.example.org:443/r4/Observation/17", status=422, json=body, headers={"X-Request-Id": "a-17_b"})
    request = Request("GET", "Observation/17?x=1")
    error = refusal(request, Transport(BASE).send(request, 5))
    assert str(error) == "GET Observation: the server answered 422 (invariant at Observation.value[0], unknown), request a-17_b"
    assert isinstance(error, AnswerError)
    assert (error.method, error.resource_type, error.status, error.request_id) == ("GET", "Observation", 422, "a-17_b")


@pytest.mark.parametrize(("status", "words"), [(401, "missing, wrong or expired"), (403, "does not allow")])
def test_sign_in_that_fails_is_a_matter_of_configuration(status: int, words: str):
    from fhir_trial.fhir.http import Response

    error = refusal(Request("GET", "Patient"), Response(status))
    assert isinstance(error, SignInRefused)
    assert words in str(error)
    assert error.exit_code == 3


@pytest.mark.parametrize(
    ("url", "expected"),
    [("Patient/17", "Patient"), ("", "server"), ("metadata", "metadata"), ("https://h/fhir/Zebulon?Patient", "server")],
)
def test_what_a_url_is_about(url: str, expected: str):
    assert resource_type(url) == expected


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process's peak memory this way")
@pytest.mark.parametrize("act", [bomb, body(b'{"resourceType":"Bundle","a":"' + b"a" * 6_000_000 + b'"}')], ids=["bomb", "large"])
def test_a_bomb_for_every_search_stays_under_200_mb(act, tmp_path):
    server = FaultServer(Fault("every page", "page", act))
    server.strikes = lambda request: "metadata" not in request.url
    script = textwrap.dedent(f"""
        import pathlib, re
        from fhir_trial.cli.main import run
        print(run(["pull", "--server", {server.base_url!r}, "--out", {str(tmp_path)!r}, *{[f"--type={t}" for t in TRIAL_TYPES[:10]]}]))
        # Not ru_maxrss: a child of a large process begins with its parent's.
        print(int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) // 1024)
    """)
    with server.serving():
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    *_, code, megabytes = done.stdout.splitlines()
    assert (int(code), len(done.stderr.splitlines())) == ((1, 1) if act is bomb else (0, 0))
    assert int(megabytes) < 200


def test_cookies_are_few_and_small(monkeypatch):
    server = FaultServer(Fault("cookies", "page", lambda answer: answer.raw(many_cookies())))
    server.strikes = lambda _: True
    with server.serving():
        transport = Transport(server.base_url)
        transport.send(Request("GET", "Patient"), 5)
    kept = list(transport._session.cookies)
    assert [cookie.name for cookie in kept] == ["small", *(f"c{n}" for n in range(19))]


def many_cookies() -> bytes:
    lines = ["small=1", "large=" + "a" * 50_000, *(f"c{n}=1" for n in range(60))]
    return ("HTTP/1.1 200 OK\r\n" + "".join(f"Set-Cookie: {line}; Path=/\r\n" for line in lines) + "Content-Length: 2\r\n\r\n{}").encode()


def test_a_deadline_that_is_over_sends_nothing():
    server = FaultServer(None)
    with server.serving(), pytest.raises(Interrupted):
        Transport(server.base_url).send(Request("GET", "Patient"), 0.0)
    assert server.memory.log == []
