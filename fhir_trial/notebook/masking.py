"""Subject identifiers masked for display: a plain number in place of each, the same in every table of a trial."""

from collections.abc import Iterable

import pandas as pd

SUBJECT = "subject"
SPONSOR_ID = "sponsor_id"
"""The sponsor's own number of an event, which may hold the subject's; a masked table goes without it."""


class Mask:
    """Gives each subject a number, in the order of their identifiers; where `shown`, tables keep the identifiers.

    >>> mask = Mask(["01-701-1015", "01-702-1001"])
    >>> mask.name("01-702-1001")
    'subject 2'
    """

    def __init__(self, subjects: Iterable[str], shown: bool = False) -> None:
        """Number the subjects, each number as wide as the last."""
        known = sorted(set(subjects))
        width = len(str(len(known)))
        self._names = {subject: f"{SUBJECT} {number:0{width}}" for number, subject in enumerate(known, start=1)}
        self._shown = shown

    def name(self, subject: object) -> str:
        """The masked name of a subject; one that is not known is just that."""
        return self._names.get(str(subject), f"{SUBJECT} ?")

    def masked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The table with its subjects masked; a table without any as it is."""
        if self._shown or SUBJECT not in frame:
            return frame
        return frame.assign(**{SUBJECT: frame[SUBJECT].map(self.name)}).drop(columns=SPONSOR_ID, errors="ignore")
