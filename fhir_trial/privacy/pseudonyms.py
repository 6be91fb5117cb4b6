"""Names and day shifts that only the holder of a key can make again (HMAC-SHA256, RFC 2104)."""

import base64
import hashlib
import hmac
import secrets

from fhir_trial.errors import ConfigurationError

LEAST_KEY_BYTES = 16


class Pseudonyms:
    """Pseudonyms under one key: the same text has the same pseudonym, and without the key nothing leads back."""

    def __init__(self, key: bytes) -> None:
        """Keep the key in memory alone; `ConfigurationError` for one that could be guessed."""
        if len(key) < LEAST_KEY_BYTES:
            raise ConfigurationError(f"the key of pseudonyms has {len(key)} bytes, expected {LEAST_KEY_BYTES} or more")
        self._key = key

    @classmethod
    def of_nobody(cls) -> "Pseudonyms":
        """Pseudonyms under a key that ends with this object: no later run can link to them."""
        return cls(secrets.token_bytes(32))

    def of(self, kind: str, text: str) -> str:
        """The pseudonym of a text of a kind: 16 letters and digits, 80 bits.

        >>> Pseudonyms(b"a key for examples").of("subject", "S-001")
        'khcp5rn4vrg7wbwk'
        """
        return base64.b32encode(self._digest(kind, text)[:10]).decode("ascii").lower()

    def days(self, subject: str, most: int) -> int:
        """How many days, 1 to `most`, a subject's dates are moved back.

        >>> 1 <= Pseudonyms(b"a key for examples").days("S-001", 365) <= 365
        True
        """
        return 1 + int.from_bytes(self._digest("days", subject)[:8], "big") % most

    @property
    def fingerprint(self) -> str:
        """Eight digits that tell one key from another and say nothing of it."""
        return self._digest("fingerprint", "").hex()[:8]

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.new(self._key, f"{kind}\x1f{text}".encode(), hashlib.sha256).digest()

    def __repr__(self) -> str:
        """The fingerprint, never the key."""
        return f"Pseudonyms({self.fingerprint})"
