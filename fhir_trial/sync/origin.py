"""Where requests may go: one origin and base path, compared after parsing and never by substring."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from fhir_trial.errors import ConfigurationError
from fhir_trial.sync.failures import ForeignLink

LONGEST_LINK = 65_536
_PORTS = {"http": 80, "https": 443}
# What RFC 3986 allows, and `|`, which FHIR searches carry: with a backslash, space or control character parsers disagree on the host.
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%|]*")


@dataclass(frozen=True, slots=True)
class Origin:
    """A server's scheme, host, port and base path.

    >>> base = Origin.parse("HTTPS://fhir.example.org:443/r4/")
    >>> str(base)
    'https://fhir.example.org:443/r4'
    >>> base.resolve("Patient?page=2")
    'https://fhir.example.org:443/r4/Patient?page=2'
    >>> base.resolve("https://evil.example/?u=https://fhir.example.org/r4/Patient")
    Traceback (most recent call last):
    ...
    fhir_trial.sync.failures.ForeignLink: a link leads to another host: nothing was sent there
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, base_url: str) -> "Origin":
        """The origin of a base URL; `ConfigurationError` for one that is none, holds a user or goes without TLS to another machine."""
        parts = _split(base_url)
        if parts is None or parts.scheme not in _PORTS or not parts.hostname:
            raise ConfigurationError("base URL: expected https://HOST/PATH")
        if parts.query or parts.fragment:
            raise ConfigurationError("base URL: expected no query and no fragment")
        if "@" in parts.netloc:
            raise ConfigurationError("base URL: expected no user or password in it; name the token by reference")
        origin = cls(parts.scheme, parts.hostname, _port(parts), parts.path.rstrip("/"))
        if origin.scheme == "http" and not origin.is_loopback:
            raise ConfigurationError(f"base URL: http to {origin.host} would show patients' data on the way; expected https")
        return origin

    @property
    def is_loopback(self) -> bool:
        """Whether this is the machine itself."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def resolve(self, link: str) -> str:
        """The URL that `link` (absolute, or relative to the base) means, written anew from its parts; `ForeignLink` for one elsewhere."""
        if len(link) > LONGEST_LINK or not _URL.fullmatch(link):
            raise ForeignLink("a link is no URL: nothing was sent")
        parts = _split(_joined(f"{self}/", link))
        if parts is None or "@" in parts.netloc or (parts.scheme, parts.hostname, _port(parts)) != (self.scheme, self.host, self.port):
            raise ForeignLink("a link leads to another host: nothing was sent there")
        inside = parts.path in (self.path, f"{self.path}/") or parts.path.startswith(f"{self.path}/")
        if not inside or ".." in _decoded(parts.path).replace("\\", "/").split("/"):
            raise ForeignLink("a link leads out of the server's base path: nothing was sent there")
        query = f"?{parts.query}" if parts.query else ""
        return f"{self._root}{parts.path}{query}"

    @property
    def _root(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        """The base URL, default port written out, no slash at its end."""
        return f"{self._root}{self.path}"


def _joined(base: str, link: str) -> str:
    try:
        return urljoin(base, link)
    except ValueError:
        return ""


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if _URL.fullmatch(url) else None


def _port(parts: SplitResult) -> int:
    return parts.port if parts.port is not None else _PORTS.get(parts.scheme, 0)


def _decoded(path: str) -> str:
    """The path with its percent signs undone, twice, since some servers do."""
    return unquote(unquote(path))
