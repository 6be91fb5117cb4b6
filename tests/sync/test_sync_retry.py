"""The retry loop without a clock: what is tried again, when, and what the caller is told."""

import pytest

from fhir_trial.fhir.http import Request, Response
from fhir_trial.sync.failures import Interrupted, NotConnected, OutOfTime
from fhir_trial.sync.retry import Attempt, Pause, Policy, attempts

READ, WRITE = Request("GET", "Patient"), Request("POST", "")
POLICY = Policy(deadline_seconds=100, attempts=5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def drive(request: Request, answers: list, policy: Policy = POLICY, draw: float = 1.0):
    """The pauses, and the response or error at the end; each attempt takes a second."""
    clock, pauses = Clock(), []
    loop = attempts(request, policy, clock, lambda: draw)
    step = next(loop)
    try:
        while True:
            if isinstance(step, Pause):
                pauses.append(round(step.seconds, 3))
                clock.now += step.seconds
                step = next(loop)
                continue
            assert isinstance(step, Attempt)
            clock.now += 1
            answer = answers.pop(0)
            step = loop.throw(answer) if isinstance(answer, Exception) else loop.send(answer)
    except StopIteration as end:
        return pauses, end.value
    except Interrupted as error:
        return pauses, error


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_read_is_tried_again(status: int):
    assert drive(READ, [Response(status), Response(200)]) == ([0.5], Response(200))


@pytest.mark.parametrize("status", [200, 304, 400, 401, 404, 409, 412, 422, 501])
def test_other_statuses_are_the_callers(status: int):
    assert drive(READ, [Response(status)]) == ([], Response(status))


def test_waits_double_up_to_the_cap_with_full_jitter():
    policy = Policy(deadline_seconds=1000, longest_wait_seconds=2, attempts=6)
    assert drive(READ, [Response(503)] * 5 + [Response(200)], policy)[0] == [0.5, 1, 2, 2, 2]
    assert drive(READ, [Response(503)] * 5 + [Response(200)], policy, draw=0.0)[0] == [0, 0, 0, 0, 0]


def test_500_is_believed_at_the_third_time():
    assert drive(READ, [Response(500)] * 3) == ([0.5, 1], Response(500))


def test_a_wish_is_honoured_if_it_is_short_and_fits():
    wish = Response(503, {"Retry-After": "30"})
    assert drive(READ, [wish, Response(200)], draw=0.0) == ([30], Response(200))
    pauses, error = drive(READ, [Response(503, {"Retry-After": "61"})])
    assert (pauses, type(error)) == ([], OutOfTime)
    assert type(drive(READ, [wish], Policy(deadline_seconds=20))[1]) is OutOfTime


def test_the_deadline_bounds_attempts_and_waits():
    pauses, error = drive(READ, [Response(503)] * 99, Policy(deadline_seconds=6, attempts=99))
    assert isinstance(error, OutOfTime)
    assert sum(pauses) + len(pauses) + 1 <= 6


def test_an_attempt_that_hangs_leaves_time_for_another():
    loop = attempts(READ, Policy(deadline_seconds=60), Clock())
    assert next(loop).seconds == pytest.approx(20.4)
    assert next(attempts(WRITE, Policy(deadline_seconds=60), Clock())).seconds == 60


@pytest.mark.parametrize("doubt", [Response(503), Response(504), Interrupted("reset")])
@pytest.mark.parametrize("request_", [WRITE, Request("PUT", "Patient/a"), Request("DELETE", "Patient/a")])
def test_a_write_in_doubt_waits_and_is_the_callers(doubt, request_):
    pauses, error = drive(request_, [doubt])
    assert pauses == [0.5]
    assert type(error) is Interrupted


@pytest.mark.parametrize("refused", [Response(429), NotConnected("no")])
def test_a_write_that_was_not_taken_is_sent_again(refused):
    assert drive(WRITE, [refused, Response(200)]) == ([0.5], Response(200))
