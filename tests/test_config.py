"""Settings from file, environment and flags; secrets by reference, never shown."""

import os
import sys
import types

import pytest

from fhir_trial.config import DEADLINE_SECONDS, Secret, load
from fhir_trial.errors import ConfigurationError

FILE = """
deadline = 30
[servers.research]
base_url = "https://fhir.example.org/r4"
token = "env:RESEARCH_TOKEN"
research_store = true
time_zone = "America/New_York"
[servers.hospital]
base_url = "https://hospital.example/fhir"
profile = "epic"
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "fhir-trial.toml"
    file.write_text(FILE)
    return file


def test_a_server_of_the_file(path):
    server = load(path, {}).server("research")
    assert (server.base_url, server.research_store, server.time_zone) == ("https://fhir.example.org/r4", True, "America/New_York")
    assert (server.profile, server.deadline_seconds, server.token) == (None, 30.0, Secret("env", "RESEARCH_TOKEN"))
    assert not load(path, {}).server("hospital").research_store


def test_environment_over_file_and_flags_over_both(path):
    env = {"FHIR_TRIAL_TOKEN": "env:OTHER", "FHIR_TRIAL_SERVER": "hospital", "FHIR_TRIAL_DEADLINE": "7", "FHIR_TRIAL_RESEARCH_STORE": "yes"}
    server = load(path, env).server()
    assert (server.name, server.token, server.deadline_seconds, server.research_store) == ("hospital", Secret("env", "OTHER"), 7.0, True)
    flags = {"server": "research", "token": "env:FLAG", "deadline": 5, "research_store": None}
    server = load(path, env, flags).server()
    assert (server.name, server.token, server.deadline_seconds, server.research_store) == ("research", Secret("env", "FLAG"), 5.0, True)


def test_a_url_needs_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server = load(env={}).server("http://127.0.0.1:8080/fhir")
    assert (server.base_url, server.deadline_seconds, server.research_store) == ("http://127.0.0.1:8080/fhir", DEADLINE_SECONDS, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[servers.a]\nbase_urll = 'x'", "unknown setting 'base_urll'; did you mean base_url"),
        ("servers = 3", "expected a table per server"),
        ("deadline = 'soon'", "deadline: expected seconds"),
        ("deadline = nan", "deadline: expected seconds"),
        ("[servers.a]", "base_url is missing"),
        ("[servers.a]\nbase_url = 3", "base_url: expected text"),
        ("[servers.a]\nbase_url = 'https://x'\nresearch_store = 'perhaps'", "expected true or false"),
        ("[servers.a]\nbase_url = 'https://x'\ntime_zone = 'Mars'", "IANA time zone"),
        ("[servers.a]\nbase_url = 'https://x'\ntoken = 'hunter2-secret'", "named by reference"),
        ("[servers.a\ntoken = 'hunter2-secret'", "not TOML"),
        ("[servers.b]\nbase_url = 'https://x'", "server 'a' is not in .* \\(b\\)"),
    ],
)
def test_wrong_settings_are_named_and_secrets_are_not(tmp_path, text: str, expected: str):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=expected) as raised:
        load(tmp_path / "c.toml", {}).server("a")
    assert "hunter2" not in str(raised.value)
    assert raised.value.exit_code == 3


def test_a_file_that_is_named_must_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(env={"FHIR_TRIAL_CONFIG": str(tmp_path / "none.toml")})


def test_a_secret_from_the_environment(monkeypatch):
    monkeypatch.setenv("A_TOKEN", " abc ")
    assert Secret.parse("env:A_TOKEN").reveal() == "abc"
    assert "abc" not in repr(Secret.parse("env:A_TOKEN"))
    with pytest.raises(ConfigurationError, match="not set"):
        Secret.parse("env:NO_SUCH_TOKEN").reveal()


@pytest.mark.parametrize("value", ["", "a\nX-Evil: 1", "ä", "a b"])
def test_a_secret_that_no_header_may_hold(monkeypatch, value: str):
    monkeypatch.setenv("A_TOKEN", value)
    with pytest.raises(ConfigurationError, match="no HTTP header may") as raised:
        Secret.parse("env:A_TOKEN").reveal()
    assert not value or value not in str(raised.value)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_secret_file_must_be_private(tmp_path):
    file = tmp_path / "token"
    file.write_text("abc\n")
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="mode 0644"):
        Secret.parse(f"file:{file}").reveal()
    file.chmod(0o600)
    assert Secret.parse(f"file:{file}").reveal() == "abc"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Secret.parse(f"file:{tmp_path}/none").reveal()


def test_a_keyring_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match="pip install keyring"):
        Secret.parse("keyring:research/ann").reveal()


def test_a_secret_from_a_keyring(monkeypatch):
    held = {("research", "ann"): "abc"}
    keyring = types.SimpleNamespace(get_password=lambda service, user: held.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert Secret.parse("keyring:research/ann").reveal() == "abc"
    for name, expected in (("research/bob", "no such entry"), ("research", "SERVICE/USER")):
        with pytest.raises(ConfigurationError, match=expected):
            Secret.parse(f"keyring:{name}").reveal()
