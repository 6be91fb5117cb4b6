"""Facts taken out of a JSON document one by one, so that what nobody took is left to be listed and counted."""

import copy
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fhir_trial.errors import Finding, Findings
from fhir_trial.fhir.json import leaf_paths

Node = dict[str, Any]


@dataclass
class Taking:
    """A document's own copy, from which facts are taken by dotted path; a value of another type than expected is a finding and left."""

    place: str
    document: Node = field(repr=False)
    findings: Findings = field(default_factory=Findings)

    def __post_init__(self) -> None:
        """Copy, so that the caller's document stays whole."""
        self.document = copy.deepcopy(self.document)

    def text(self, path: str, node: Node | None = None) -> str | None:
        """A text, trimmed; None where it is absent or blank. A number or a truth value is taken as its JSON text."""
        value = self._take(path, node)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | Decimal):
            return str(value).strip() or None
        self._report(path, value, "a text", node)
        return None

    def peek(self, path: str, node: Node | None = None) -> str | None:
        """A text that stays in the document; None where there is none."""
        parent, name = self._parent(path, node)
        value = None if parent is None else parent.get(name)
        return value.strip() or None if isinstance(value, str) else None

    def texts(self, path: str, node: Node | None = None) -> tuple[str, ...]:
        """The texts of a list; one text alone is a list of one."""
        values = self._take(path, node)
        values = values if isinstance(values, list) else [] if values is None else [values]
        for value in values:
            if not isinstance(value, str):
                self._report(path, value, "texts", None)
        return tuple(value.strip() for value in values if isinstance(value, str) and value.strip())

    def items(self, path: str, node: Node | None = None) -> list[Node]:
        """The objects of a list, which stay in the document for their own facts to be taken; one object alone is a list of one."""
        parent, name = self._parent(path, node)
        values = None if parent is None else parent.get(name)
        values = values if isinstance(values, list) else [] if values is None else [values]
        for value in values:
            if not isinstance(value, dict):
                self._report(path, value, "objects", None)
        return [value for value in values if isinstance(value, dict)]

    def drop(self, path: str, node: Node | None = None) -> Any:
        """Take a part that is known and deliberately not used."""
        return self._take(path, node)

    def left(self, syntax: frozenset[str] = frozenset(), steps: int = 9) -> Counter[str]:
        """The values that nobody took, counted by the first `steps` of their path; members that are mere `syntax` are not counted."""
        paths = (path.split(".") for path in leaf_paths(self.document))
        return Counter(".".join(path[:steps]) for path in paths if path[-1] not in syntax)

    def _take(self, path: str, node: Node | None) -> Any:
        parent, name = self._parent(path, node)
        return None if parent is None else parent.pop(name, None)

    def _parent(self, path: str, node: Node | None) -> tuple[Node | None, str]:
        *steps, name = path.split(".")
        parent: Any = self.document if node is None else node
        for step in steps:
            parent = parent.get(step) if isinstance(parent, dict) else None
        return (parent if isinstance(parent, dict) else None), name

    def _report(self, path: str, value: Any, expected: str, node: Node | None) -> None:
        if value is not None:
            where = path if node is None else f"...{path}"
            self.findings.add(
                Finding("wrong-type", self.place, field=where, found=type(value).__name__, expected=expected, effect="not used")
            )
