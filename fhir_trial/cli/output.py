"""What commands say: data on stdout, progress and messages on stderr, findings one a line, JSON where asked."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from fhir_trial.errors import Finding
from fhir_trial.progress import Progress, silent

BANNER = "SYNTHETIC DATA: about no real person"


def say(text: str) -> None:
    """A message to the person at the terminal."""
    sys.stderr.write(_sayable(text, sys.stderr) + "\n")


def show(text: str) -> None:
    """Data, as text."""
    sys.stdout.write(_sayable(text, sys.stdout) + "\n")


def show_json(value: Any) -> None:
    """Data, as JSON; letters that the terminal's encoding lacks as JSON's escapes."""
    show(_json_text(value))


def show_json_as_it_comes(name: str, items: Iterable[object], others: Callable[[], Mapping[str, Any]]) -> None:
    """An object as JSON, its list `name` item by item; the `others` of its members are asked for when the list has ended."""
    held, comma = f"{{\n  {_json_text(name)}: [", ""
    for item in items:
        show(held + comma)
        held, comma = f"    {_json_text(item)}", ","
    show(f"{held}\n  ],")
    show(_json_text(others()).removeprefix("{\n"))


def _json_text(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text if _sayable(text, sys.stdout) == text else json.dumps(value, indent=2, default=str)


def _sayable(text: str, stream: TextIO) -> str:
    """The text with escapes for the letters that a stream's encoding lacks: names of files hold any."""
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding, stream.errors or "strict")
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def finding_row(finding: Finding) -> dict[str, Any]:
    """A finding as a JSON object."""
    names = ("severity", "code", "place", "row", "field", "found", "expected", "effect")
    return {name: value for name in names if (value := getattr(finding, name)) is not None}


def say_findings(findings: Iterable[Finding], limit: int = 50, every: str = "--json shows all") -> None:
    """Findings on stderr, one a line, the worst first; beyond the `limit`, how many more there are and where `every` one stands."""
    order = {"error": 0, "warning": 1, "information": 2}
    ranked = sorted(findings, key=lambda f: order[f.severity])
    for finding in ranked[:limit]:
        say(f"{finding.severity}: {finding.describe()}")
    if len(ranked) > limit:
        say(f"... and {len(ranked) - limit} more: {every}")


def show_table(title: str, columns: list[str], rows: Iterable[Iterable[object]]) -> None:
    """A table on stdout, aligned for a terminal."""
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120).print(table)


def show_counts(title: str, counts: Mapping[str, int]) -> None:
    """Counts, one a line."""
    show(f"{title}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def terminal_progress() -> Progress:
    """Says each step on stderr, once; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        return silent
    said: set[str] = set()

    def progress(step: str, done: int, total: int | None) -> None:
        if step not in said:
            said.add(step)
            say(f"[{done + 1}/{total or '?'}] {step}")

    return progress
