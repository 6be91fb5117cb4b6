"""`doctor`: what a server is, what it can do, the strategy that follows, and what will not work."""

import time
from collections.abc import Iterator
from typing import Any

from fhir_trial import config
from fhir_trial.cli.output import say, show, show_json
from fhir_trial.cli.servers import Deadline, Json, Profile, Server, Store, Token, Version, server_flags
from fhir_trial.errors import ConfigurationError
from fhir_trial.sync.doctor import diagnose
from fhir_trial.trial.connection import connect


def doctor(
    server: Server = None,
    fhir: Version = None,
    profile: Profile = None,
    token: Token = None,
    research_store: Store = False,
    deadline: Deadline = None,
    as_json: Json = False,
) -> int:
    """Say what kind of server it is, which way of reading and writing follows, and what will not work. 3 where it lets nobody in."""
    named = config.load(flags=server_flags(token, research_store, deadline, profile)).server(server)
    with connect(named, fhir) as connection:
        diagnosis = connection.run(diagnose(connection.info, named.profile is not None, time.time()))
    found = diagnosis.to_json()
    if as_json:
        show_json(found)
    else:
        show("\n".join(_lines(found)))
    for advice in found["to mend"]:
        say(advice)
    return 0 if diagnosis.is_let_in else ConfigurationError.exit_code


def _lines(found: dict[str, Any]) -> Iterator[str]:
    for name, value in found.items():
        if name == "tried":
            yield "tried:"
            yield from (f"  {'works' if one['works'] else 'does not work'}: {one['what']} ({one['answer']})" for one in value)
        elif isinstance(value, list):
            if value:
                yield f"{name}:"
                yield from (f"  {item}" for item in value)
        else:
            yield f"{name}: {'yes' if value is True else 'no' if value is False else value}"
