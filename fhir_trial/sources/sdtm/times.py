"""Clock times of a study that declares its zone."""

import datetime as dt
from zoneinfo import ZoneInfo

from fhir_trial.domain.dates import is_local_time
from fhir_trial.domain.entities import When


def with_zone(when: When, zone: ZoneInfo | None) -> When:
    """`when` with the offset that `zone` had then, where it is a clock time without one; of a time that came twice the first.

    >>> with_zone(When("2014-07-02T11:45"), ZoneInfo("America/New_York")), with_zone(When("2014-07-02"), ZoneInfo("America/New_York"))
    ('2014-07-02T11:45-04:00', '2014-07-02')
    """
    if zone is None or not is_local_time(when):
        return when
    offset = dt.datetime.fromisoformat(f"{when}:00" if len(when) == 13 else when).replace(tzinfo=zone).utcoffset() or dt.timedelta(0)
    minutes = round(offset / dt.timedelta(minutes=1))
    sign = "+" if minutes >= 0 else "-"
    return When(f"{when}{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}")
