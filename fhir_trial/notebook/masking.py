"""Subject identifiers masked for display: a plain number in place of each, the same in every table of a trial."""

from collections.abc import Iterable

import pandas as pd


class Mask:
    """Gives each subject a number, in the order of their identifiers.

    >>> mask = Mask(["01-701-1015", "01-702-1001"])
    >>> mask.name("01-702-1001")
    'subject 2'
    """

    def __init__(self, subjects: Iterable[str]) -> None:
        """Number the subjects."""
        self._names = {subject: f"subject {number}" for number, subject in enumerate(sorted(set(subjects)), start=1)}

    def name(self, subject: object) -> str:
        """The masked name of a subject; one that is not known is just that."""
        return self._names.get(str(subject), "subject ?")

    def masked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The table with its subjects masked; a table without any as it is."""
        return frame.assign(subject=frame["subject"].map(self.name)) if "subject" in frame else frame
