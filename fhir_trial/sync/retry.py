"""The retry loop around one whole exchange, its body included, as a generator that reads no clock and sleeps nowhere.

Reads are sent again. A write, even a PUT, is sent again only where the server says it did not act (429, no connection): a second PUT makes
a second version, or overwrites what someone else wrote in between. Otherwise the loop waits and hands the doubt (`Interrupted`) to the
caller, who asks the server what happened.
"""

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass

from fhir_trial.errors import Unreachable
from fhir_trial.fhir.http import Request, Response, moment
from fhir_trial.sync.failures import Interrupted, NotConnected, OutOfTime, refusal, resource_type

TEMPORARY = {
    408: "the server waited too long for the request",
    429: "too many requests",
    500: "servers use it for both passing and lasting faults",
    502: "a proxy had no answer",
    503: "down or busy",
    504: "a proxy waited too long; the server may have acted",
}
"""Statuses that a later try may not meet, and why."""
_NOT_ACTED = frozenset({429})


@dataclass(frozen=True, slots=True)
class Policy:
    """How long one exchange may take with its retries, and how its waits grow: full jitter up to a cap, the server's wish honoured."""

    deadline_seconds: float = 60.0
    first_wait_seconds: float = 0.25
    longest_wait_seconds: float = 20.0
    longest_wish_seconds: float = 60.0
    attempts: int = 8
    attempts_after_500: int = 3
    handed_over: frozenset[int] = frozenset()
    """Temporary statuses that the caller deals with: who polls may be told to wait for longer than one exchange takes."""
    share_of_one_attempt: float = 0.34
    """Of the deadline, for one attempt that can be repeated: a server that hangs once is asked again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Send `request`; give up after `seconds`."""

    request: Request
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so long."""

    seconds: float


Attempts = Generator[Attempt | Pause, Response | None, Response]


def attempts(request: Request, policy: Policy, clock: Callable[[], float], draw: Callable[[], float] = random.random) -> Attempts:
    """Yield attempts and pauses until there is an answer that is not temporary; an `Interrupted` may be thrown in.

    `clock` gives seconds that only grow, `draw` a number from 0 to 1. Raises `OutOfTime` at the deadline, `Interrupted` where a write's
    fate is unknown. Other statuses, refusals included, are the caller's.
    """
    ends_at = clock() + policy.deadline_seconds
    for number in range(policy.attempts):
        wish: float | None = None
        seconds = policy.deadline_seconds * (policy.share_of_one_attempt if is_repeatable(request) else 1.0)
        try:
            response = yield Attempt(request, max(min(seconds, ends_at - clock()), 0.001))
        except Interrupted as error:
            failure: Unreachable = error
            acted_perhaps = not isinstance(error, NotConnected)
        else:
            assert response is not None
            if not _is_temporary(response, number, policy):
                return response
            failure = _temporary(request, response)
            acted_perhaps, wish = response.status not in _NOT_ACTED, wished_seconds(response)
        wait = _wait(number, wish, policy, draw)
        if wait is None or clock() + wait >= ends_at:
            break
        yield Pause(wait)
        if acted_perhaps and not is_repeatable(request):
            raise failure
    raise OutOfTime(str(failure))


def is_repeatable(request: Request) -> bool:
    """Whether the request only reads."""
    return request.method in ("GET", "HEAD") or (request.method == "POST" and request.url.partition("?")[0].endswith("/_search"))


def wished_seconds(response: Response) -> float | None:
    """How long the server asks to wait (Retry-After, seconds or a date counted from the server's own Date), None where it does not say.

    >>> headers = {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:59:49 GMT"}
    >>> wished_seconds(Response(503, headers)), wished_seconds(Response(503, {"Retry-After": "2"})), wished_seconds(Response(503))
    (10.0, 2.0, None)
    """
    text = (response.header("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until, now = moment(text), moment(response.header("Date"))
    return max(until - now, 0.0) if until is not None and now is not None else None


def _is_temporary(response: Response, number: int, policy: Policy) -> bool:
    return response.status in TEMPORARY.keys() - policy.handed_over and not (
        response.status == 500 and number + 1 >= policy.attempts_after_500
    )


def _wait(number: int, wish: float | None, policy: Policy, draw: Callable[[], float]) -> float | None:
    """Seconds to wait, None when the server asks for more than it is granted."""
    if wish is not None:
        return wish + draw() * policy.first_wait_seconds if wish <= policy.longest_wish_seconds else None
    return draw() * min(policy.longest_wait_seconds, policy.first_wait_seconds * 2.0 ** (number + 1))


def _temporary(request: Request, response: Response) -> Interrupted:
    return Interrupted(f"{refusal(request, response)}; {TEMPORARY[response.status]}: {resource_type(request.url)} can be tried again later")
