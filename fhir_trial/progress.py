"""Progress, as a callable that any long step may call: `progress("reading", 3, 10)`."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much is done and of how much (None: unknown)."""


def silent(step: str, done: int, total: int | None) -> None:
    """Report nothing."""
