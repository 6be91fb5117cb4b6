"""Which later visit confirms a response: RECIST 1.1, 4.6, with the choices that protocols make."""

import numpy as np

from fhir_trial.endpoints.columns import Bools, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.response_codes import CR, NE, PR, SD


def confirming(response: Ints, group: Ints, day: Ints, conventions: Conventions) -> Ints:
    """For each row the row that confirms it, -1 where none does; rows are sorted by group and day.

    A CR is confirmed by a CR, with CR and NE between; a PR by CR or PR, with CR, PR and NE between (SD where `sd_between_ok`) and no PR
    after CR. At most `max_ne_between` NE, at least `confirm_days` days.

    >>> from fhir_trial.endpoints.conventions import preset
    >>> confirming(np.array([PR, NE, PR, SD]), np.zeros(4, int), np.array([42, 84, 126, 168]), preset("protocol")).tolist()
    [2, -1, -1, -1]
    """
    found = np.full(len(response), -1, dtype=np.int64)
    start = np.flatnonzero(np.isin(response, (CR, PR)))
    missed, had_cr, step = np.zeros(len(start), dtype=np.int64), response[start] == CR, 1
    while len(start):
        inside = (start + step < len(response)) & (group[np.minimum(start + step, len(response) - 1)] == group[start])
        start, missed, had_cr = start[inside], missed[inside], had_cr[inside]
        here = response[start + step]
        missed = missed + (here == NE)
        going = _may_follow(here, response[start], had_cr, conventions) & (missed <= conventions.max_ne_between)
        confirms = going & np.isin(here, (CR, PR)) & (day[start + step] - day[start] >= conventions.confirm_days)
        found[start[confirms]] = start[confirms] + step
        going &= ~confirms
        start, missed, had_cr = start[going], missed[going], (had_cr | (here == CR))[going]
        step += 1
    return found


def _may_follow(here: Ints, first: Ints, had_cr: Bools, conventions: Conventions) -> Bools:
    """Whether a visit leaves the response open or confirms it."""
    stable = (here == SD) & (first == PR) & conventions.sd_between_ok
    may: Bools = (here == CR) | (here == NE) | ((here == PR) & ~had_cr) | stable
    return may
