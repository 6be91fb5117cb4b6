"""Settings: `fhir-trial.toml`, then `FHIR_TRIAL_*`, then flags; the later wins. Secrets are named by reference and never held.

```toml
deadline = 60
[servers.research]
base_url = "https://fhir.example.org/r4"
token = "env:RESEARCH_TOKEN"      # or file:PATH (mode 0600), or keyring:SERVICE/USER
research_store = true
time_zone = "America/New_York"

[servers.hospital]
base_url = "https://fhir.hospital.example/r4"
profile = "epic-like"             # what kind it is; without it, it is recognised
sign_in = "backend"               # none, bearer, basic (user, password), backend, launch (a person, by the browser)
client_id = "our-id-there"
key = "file:/secure/key.pem"      # PEM, JWK or JWKS; of the last, `key_id` names one
```
"""

import difflib
import importlib
import os
import re
import stat
import tomllib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fhir_trial.errors import ConfigurationError, MissingExtra

FILE_NAME = "fhir-trial.toml"
PREFIX = "FHIR_TRIAL_"
DEADLINE_SECONDS = 60.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret stands: `env:NAME`, `file:PATH` or `keyring:SERVICE/USER`; it is read when it is needed and kept nowhere.

    >>> Secret.parse("env:RESEARCH_TOKEN")
    Secret('env:RESEARCH_TOKEN')
    >>> Secret.parse("s3cr3t")
    Traceback (most recent call last):
    ...
    fhir_trial.errors.ConfigurationError: token: a secret is named by reference (env:NAME, file:PATH, keyring:SERVICE/USER)
    """

    kind: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "Secret":
        """The reference that `text` is; what is none is refused and not shown, since it may be the secret."""
        kind, colon, name = text.strip().partition(":")
        if kind not in _READERS or not colon or not name:
            raise ConfigurationError("token: a secret is named by reference (env:NAME, file:PATH, keyring:SERVICE/USER)")
        return cls(kind, name)

    def reveal(self) -> str:
        """The secret itself; `ConfigurationError` where it is missing, readable by others or no header value."""
        value = _READERS[self.kind](self.name).strip()
        if not _TOKEN.fullmatch(value):
            raise ConfigurationError(f"{self.kind}:{self.name}: the secret is empty, too long or holds characters that no HTTP header may")
        return value

    def text(self) -> str:
        """The secret as text of any form: a key, a password."""
        return _READERS[self.kind](self.name).strip()

    def __repr__(self) -> str:
        """The reference, which is no secret."""
        return f"Secret('{self.kind}:{self.name}')"


def _from_environment(name: str) -> str:
    if name not in os.environ:
        raise ConfigurationError(f"env:{name}: the environment variable is not set")
    return os.environ[name]


def _from_file(name: str) -> str:
    path = Path(name).expanduser()
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(f"file:{name}: others may read it (mode {stat.S_IMODE(mode):04o}), expected 0600: chmod 600 {name}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"file:{name}: cannot be read ({type(error).__name__})") from None


def _from_keyring(name: str) -> str:
    service, slash, user = name.rpartition("/")
    if not slash:
        raise ConfigurationError(f"keyring:{name}: expected keyring:SERVICE/USER")
    try:
        keyring = importlib.import_module("keyring")
    except ModuleNotFoundError:
        raise MissingExtra(f"keyring:{name}: the package keyring is not installed: pip install keyring, or use env: or file:") from None
    value = keyring.get_password(service, user)
    if value is None:
        raise ConfigurationError(f"keyring:{name}: the keyring holds no such entry")
    return str(value)


_READERS = {"env": _from_environment, "file": _from_file, "keyring": _from_keyring}


@dataclass(frozen=True, slots=True)
class Server:
    """One FHIR server: where it is, how to sign in, and what it is for.

    `research_store`: pseudonymous patients may be created there. `time_zone`: IANA zone of its clock times. `deadline_seconds` bounds one
    exchange with its retries.
    """

    name: str
    base_url: str
    token: Secret | None = None
    profile: str | None = None
    """What kind of server it is (a name of `sync/profiles`); None: it is recognised."""
    research_store: bool = False
    time_zone: str | None = None
    deadline_seconds: float = DEADLINE_SECONDS
    file_hosts: tuple[str, ...] = ()
    """Base URLs of other hosts from which files of a bulk export may come; they never see a token."""
    sign_in: str | None = None
    """none, bearer, basic, backend (SMART backend services) or launch (a person, by the browser); None: bearer where there is a token."""
    user: str | None = None
    password: Secret | None = None
    client_id: str | None = None
    key: Secret | None = None
    """The private key of a backend service: PEM, JWK or JWKS."""
    key_id: str | None = None
    scope: str | None = None
    token_url: str | None = None
    """Where tokens are got; None: as the server's SMART configuration says."""
    redirect_port: int = 0
    """The port of this machine where the browser brings its answer; 0 is any."""


@dataclass(frozen=True, slots=True)
class Config:
    """All settings in force; `overrides` come from the environment and flags and win over a server's own."""

    servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    deadline_seconds: float = DEADLINE_SECONDS
    place: str = FILE_NAME

    def server(self, name: str | None = None) -> Server:
        """The server of that name or URL (else the one that the environment or a flag names).

        `ConfigurationError` where there is none or a setting is wrong.
        """
        name = name or self.overrides.get("server")
        if not name:
            raise ConfigurationError("no server is named: give --server, set FHIR_TRIAL_SERVER, or a name of [servers] in fhir-trial.toml")
        if "://" in name:
            settings: dict[str, Any] = {"base_url": name}
        elif name in self.servers:
            settings = dict(self.servers[name])
        else:
            raise ConfigurationError(f"server {name!r} is not in {self.place} ({', '.join(self.servers) or 'which names none'})")
        settings |= {key: value for key, value in self.overrides.items() if key in _SERVER_KEYS}
        return _server(name, settings, self.deadline_seconds)


_SERVER_KEYS = {f.name for f in fields(Server)} - {"name", "deadline_seconds"}
_FLAG_KEYS = _SERVER_KEYS | {"server", "deadline"}


def load(path: str | Path | None = None, env: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None) -> Config:
    """The settings of the file at `path` (else `FHIR_TRIAL_CONFIG`, else `fhir-trial.toml` here, if present), of `env`, and of `flags`.

    Flags that are None were not given. An unknown setting or one of the wrong type is a `ConfigurationError`.
    """
    env = os.environ if env is None else env
    named = path or env.get(f"{PREFIX}CONFIG")
    document = _document(Path(named or FILE_NAME), must_exist=named is not None)
    place = str(named or FILE_NAME)
    _known(document, {"servers", "deadline"}, place)
    servers = document.get("servers", {})
    if not isinstance(servers, dict) or not all(isinstance(s, dict) for s in servers.values()):
        raise ConfigurationError(f"{place}, servers: expected a table per server, [servers.NAME]")
    for name, settings in servers.items():
        _known(settings, _SERVER_KEYS, f"{place}, [servers.{name}]")
    overrides = {key: env[PREFIX + key.upper()] for key in sorted(_FLAG_KEYS) if env.get(PREFIX + key.upper())}
    overrides |= {key: value for key, value in (flags or {}).items() if value is not None}
    _known(overrides, _FLAG_KEYS, "flags")
    deadline = _seconds(overrides.get("deadline", document.get("deadline", DEADLINE_SECONDS)))
    return Config(servers, overrides, deadline, place)


def _document(path: Path, *, must_exist: bool) -> dict[str, Any]:
    if not must_exist and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        # The parser's words quote what it met, which may be part of a secret; its position is enough.
        position = re.search(r"\(at .*\)", str(error))
        raise ConfigurationError(f"{path}: not TOML {position[0] if position else ''}".rstrip()) from None


def _known(settings: Mapping[str, Any], known: set[str], place: str) -> None:
    for key in settings:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known))}"
            raise ConfigurationError(f"{place}: unknown setting {key!r}; {hint}")


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise ConfigurationError("deadline: expected seconds, more than 0 and less than a day")
    return seconds


def _truth(value: Any, place: str) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _TRUTH:
        raise ConfigurationError(f"{place}: expected true or false")
    return _TRUTH[str(value).lower()]


def _server(name: str, settings: Mapping[str, Any], deadline_seconds: float) -> Server:
    place = "server" if "://" in name else f"server {name!r}"
    for key in sorted(_SERVER_KEYS - {"research_store"}):
        if not isinstance(settings.get(key, ""), str):
            raise ConfigurationError(f"{place}, {key}: expected text")
    if not settings.get("base_url"):
        raise ConfigurationError(f"{place}: base_url is missing")
    zone = settings.get("time_zone")
    if zone is not None and zone not in zoneinfo.available_timezones():
        raise ConfigurationError(f"{place}, time_zone: expected the name of an IANA time zone, such as Europe/Berlin")
    secrets: dict[str, Any] = {key: Secret.parse(settings[key]) if settings.get(key) else None for key in ("token", "password", "key")}
    texts: dict[str, Any] = {
        key: settings.get(key) or None for key in ("profile", "sign_in", "user", "client_id", "key_id", "scope", "token_url")
    }
    return Server(
        name=name if "://" not in name else "URL",
        base_url=settings["base_url"],
        research_store=_truth(settings.get("research_store", False), f"{place}, research_store"),
        time_zone=zone,
        deadline_seconds=deadline_seconds,
        file_hosts=tuple(settings.get("file_hosts", "").split()),
        redirect_port=_port(settings.get("redirect_port", "0"), place),
        **secrets,
        **texts,
    )


def _port(value: str, place: str) -> int:
    if not value.isdecimal() or int(value) > 65_535:
        raise ConfigurationError(f"{place}, redirect_port: expected the number of a port, as text")
    return int(value)
