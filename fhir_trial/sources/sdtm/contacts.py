"""The dates on which subjects were known alive, by the domain that shows it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import CONTACTS
from fhir_trial.sources.sdtm.rows import Reading, Record
from fhir_trial.sources.sdtm.values import parse_date

Contacts = dict[str, set[tuple[str, str]]]
"""Subject to source and date."""

STATED = "DM"
"""Source of a last date known alive that DM states, which goes before every other."""

_MAPPED = frozenset({"vs", "qs", "lb"})
"""Domains whose rows are read for their own sake too: a bad date is named there."""


def contacts(
    domains: Mapping[str, RawDomain], demographics: Iterable[Record], events: Mapping[str, list[Record]], reading: Reading
) -> Contacts:
    """Every date of the domains that show a subject alive, cut to its day; the record of a death shows none."""
    found: Contacts = defaultdict(set)
    for record in demographics:
        if record["last_alive"] is not None:
            found[record["subject"]].add((STATED, record["last_alive"][:10]))
    for subject, rows in events.items():
        found[subject].update(("DS", row["on"][:10]) for row in rows if row["on"] is not None and row["event"].upper() != "DEATH")
    for domain, variables in CONTACTS.items():
        if domain in domains:
            for variable in variables:
                _collect(domains[domain], variable, found, reading)
    return found


def _collect(raw: RawDomain, variable: str, found: Contacts, reading: Reading) -> None:
    """One column's dates, each pair of subject and text looked at once, however many rows have it."""
    if not raw.has("USUBJID") or not raw.has(variable):
        return
    subjects, dates = raw.column("USUBJID"), raw.column(variable)
    pairs: dict[tuple[str | None, str | None], int] = {}
    for index, pair in enumerate(zip(subjects, dates, strict=True)):
        pairs.setdefault(pair, index)
    for (subject, text), index in pairs.items():
        if subject is None or text is None or reading.subjects is None or subject not in reading.subjects:
            continue
        if (day := day_of(text)) is not None:
            found[subject].add((raw.name.upper(), day))
        elif raw.name not in _MAPPED:
            expected = "an ISO 8601 date that exists"
            reading.report("impossible-date", raw, raw.rows[index], variable, found=text, expected=expected, effect="it shows nothing")


def day_of(text: str) -> str | None:
    """The day of a date or time as far as it is known, None for what is no date.

    >>> day_of("2023-05-04T10:30"), day_of("2023-05---"), day_of("soon")
    ('2023-05-04', '2023-05', None)
    """
    try:
        return parse_date(text)[:10]
    except ValueError:
        return None
