"""Server profiles: what each kind of server really does, as data in `profiles/`; a CapabilityStatement is a hint and says less.

A profile narrows what a server states and never widens it: what it leaves open is taken from the statement.
"""

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
import msgspec.yaml

from fhir_trial.errors import ConfigurationError

Identity = Literal["client-id", "conditional", "search-first"]
"""How a resource gets its one place: PUT to an id of ours; If-None-Exist, which the server decides; a search before a plain POST."""
Level = Literal["system", "group", "patient"]


class Recognise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a server is known to be of this kind: by its software's name, else by the shape of what it states."""

    software: tuple[str, ...] = ()
    transactions: bool | None = None
    """What the statement must say of transactions."""
    without_ids_of_ours: bool = False
    """Whether, without a known name, it is enough that every type says updateCreate: false and these `types` are there."""
    types: tuple[str, ...] = ()


class ByPatient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a type is searched by patient: the parameter, and the categories or codes with one of which it must be qualified."""

    parameter: str
    categories: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    """Asked for together, for resources that have no category."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of server; None and empty mean: as it states."""

    name: str = "generic"
    describes: str = ""
    recognise: Recognise = Recognise()
    transactions: bool | None = None
    identity: Identity | None = None
    writes: dict[str, tuple[Literal["create", "update"], ...]] | None = None
    """What may be written, by type; a type that is not named is read-only."""
    absent: tuple[str, ...] = ()
    reads: Literal["study", "patient"] = "study"
    by_patient: dict[str, ByPatient] = {}
    changes: Literal["history", "last-updated", "compare"] | None = None
    """How what changed is found out; compare is to ask for everything again."""
    deletes: bool = True
    post_search: bool = False
    exports: tuple[Level, ...] = ()
    longest_poll_wait_seconds: float | None = None
    """Where a server asks for long waits whatever the export's size, and takes earlier questions well."""
    notes: tuple[str, ...] = ()


GENERIC = Profile()


@cache
def profiles() -> Mapping[str, Profile]:
    """Every profile, by name."""
    found = {}
    for file in sorted(files("fhir_trial.sync").joinpath("profiles").iterdir(), key=lambda f: f.name):
        name, dot, ending = file.name.rpartition(".")
        if dot and ending == "yaml":
            found[name] = msgspec.convert({**msgspec.yaml.decode(file.read_bytes()), "name": name}, Profile)
    return found


def named(name: str) -> Profile:
    """The profile of that name.

    >>> named("epic-like").reads
    'patient'
    >>> named("epick")
    Traceback (most recent call last):
    ...
    fhir_trial.errors.ConfigurationError: profile: 'epick' is none of embedded, epic-like, generic, hapi, oracle-like
    """
    known = profiles()
    if name not in known:
        raise ConfigurationError(f"profile: {name[:40]!r} is none of {', '.join(known)}")
    return known[name]


def recognise(software: str | None, transactions: bool, takes_our_ids: bool, types: Collection[str]) -> Profile:
    """The kind that a server seems to be: by its software's name, else by the shape of its statement, else generic.

    >>> recognise("HAPI FHIR Server", True, True, ["Patient"]).name, recognise("Acme", False, False, ["Patient"]).name
    ('hapi', 'generic')
    >>> recognise("Acme", False, False, ["Condition", "Observation", "Patient"]).name
    'oracle-like'
    """
    fitting = [p for p in profiles().values() if p.recognise.transactions in (None, transactions)]
    by_name = [p for p in fitting if any(word.lower() in (software or "").lower() for word in p.recognise.software)]
    by_shape = [p for p in fitting if p.recognise.without_ids_of_ours and not takes_our_ids and set(p.recognise.types) <= set(types)]
    # Of two that fit, the one that asks for more of what is there says more.
    by_shape.sort(key=lambda p: -len(p.recognise.types))
    return next(iter([*by_name, *by_shape]), named("generic"))
