"""Python source in the making: indented lines, fresh names, and the objects that names stand for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class SourceText:
    """Lines of one function, written from the outside in."""

    def __init__(self, names: dict[str, Any]) -> None:
        """`names` are what the source may refer to."""
        self.names = names
        self.most_loops = 0
        self._lines: list[str] = []
        self._depth = 0
        self._loops = 0
        self._counter = 0

    def write(self, line: str) -> None:
        """Add one line at the depth reached."""
        self._lines.append("    " * self._depth + line)

    @contextmanager
    def block(self, opening: str) -> Iterator[None]:
        """What is written inside stands inside the block that `opening` begins."""
        self.write(opening)
        is_loop = opening.startswith("for ")
        self._depth += 1
        self._loops += is_loop
        self.most_loops = max(self.most_loops, self._loops)
        yield
        self._depth -= 1
        self._loops -= is_loop

    @contextmanager
    def only_if_used(self, name: str, line: str) -> Iterator[None]:
        """Write `line`, which makes `name`, before what is written inside, unless nothing inside uses it."""
        self.write(line)
        start = len(self._lines)
        yield
        if not any(name in later for later in self._lines[start:]):
            del self._lines[start - 1]

    def name(self, prefix: str, value: Any = None) -> str:
        """A fresh name, standing for `value` where one is given; it ends with a sign of its own, so no name is part of another."""
        self._counter += 1
        fresh = f"{prefix}{self._counter}_"
        if value is not None:
            self.names[fresh] = value
        return fresh

    def text(self) -> str:
        """All that was written."""
        return "\n".join(self._lines)
