"""Tables of synthetic data say so wherever they are shown."""

from collections.abc import Callable

import pandas as pd

BANNER = "SYNTHETIC DATA: about no real person"


class SyntheticFrame(pd.DataFrame):
    """A table that shows a banner above its rows; so does what is chosen, sorted or joined from it.

    >>> print(SyntheticFrame({"n": [1, 2]}).head(1))
    SYNTHETIC DATA: about no real person
       n
    0  1
    """

    @property
    def _constructor(self) -> Callable[..., "SyntheticFrame"]:
        return SyntheticFrame

    def __repr__(self) -> str:
        """The banner, then the rows."""
        return f"{BANNER}\n{super().__repr__()}"

    def _repr_html_(self) -> str:
        html: str = super()._repr_html_()  # type: ignore[misc]  # the stubs leave it out
        return f"<p><b>{BANNER}</b></p>{html}"


def marked(frame: pd.DataFrame, synthetic: bool) -> pd.DataFrame:
    """The table, with a banner where its data are synthetic."""
    return SyntheticFrame(frame) if synthetic else frame
