"""The files of a bulk export: rows, reports of errors and deletions, read line by line, each line bounded in size and in values."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_trial.errors import Finding, InputError
from fhir_trial.fhir import bundles, json
from fhir_trial.fhir.references import literal
from fhir_trial.sync.failures import BadAnswer, Incomplete, checked_row, in_words
from fhir_trial.sync.limits import LIMIT_BYTES, is_too_full

Resource = dict[str, Any]
LINES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Output:
    """One file of a manifest."""

    type: str
    url: str = field(repr=False)
    count: int | None


def rows_of(output: Output, path: Path, seen: set[tuple[str, str]]) -> Iterator[list[Resource]]:
    """The rows of a file, some at a time; `seen` is what came before, of this file and others."""
    count, rows = 0, list[Resource]()
    for row in _objects(path, output.type):
        if row.get("resourceType") != output.type:
            raise BadAnswer(f"GET $export: a file of {output.type} holds something else")
        checked_row(row, "GET $export")
        if (output.type, row["id"]) in seen:
            raise Incomplete(f"GET $export: a {output.type} came twice")
        seen.add((output.type, row["id"]))
        rows.append(row)
        count += 1
        if len(rows) == LINES_AT_ONCE:
            yield rows
            rows = []
    yield rows
    if output.count is not None and count != output.count:
        raise Incomplete(f"GET $export: {count} {output.type} came of {output.count}")


def reported(path: Path) -> Iterator[Finding]:
    """What an error file says; an error means that resources are missing."""
    for stated in _objects(path, "errors"):
        issues = stated.get("issue")
        if not isinstance(issues, list):
            raise Incomplete("GET $export: the server's report of errors cannot be read")
        if any(not isinstance(issue, dict) or issue.get("severity") not in ("warning", "information", "success") for issue in issues):
            raise Incomplete("GET $export: the server reports errors, so resources are missing")
        yield Finding("server-message", "bulk export", severity="warning")


def deletions(path: Path) -> Iterator[str]:
    """The places that a file of deletions names: Bundles whose entries say DELETE."""
    for bundle in _objects(path, "deletions"):
        if not isinstance(bundle.get("entry"), list):
            raise BadAnswer("GET $export: a file of deletions names something that is no deletion")
        for entry in bundles.entries(bundle):
            request = entry.get("request")
            url = request.get("url") if isinstance(request, dict) and request.get("method") == "DELETE" else None
            at = literal(url) if isinstance(url, str) else None
            if at is None:
                raise BadAnswer("GET $export: a file of deletions names something that is no deletion")
            yield f"{at.type}/{at.id}"


def _objects(path: Path, what: str) -> Iterator[Resource]:
    """The objects of a file, one a line; a line that is something else gives an empty one."""
    with path.open("rb") as stream:
        while line := stream.readline(LIMIT_BYTES + 1):
            if len(line) > LIMIT_BYTES or is_too_full(line):
                raise BadAnswer(f"GET $export: a line of {what} is larger than a resource may be")
            if not line.strip():
                continue
            try:
                row = json.decode(line, "bulk file")
                json.refuse_ambiguity(line, row, "bulk file")
            except InputError as error:
                raise BadAnswer(f"GET $export: a line of {what} {in_words(error)}") from None
            yield row if isinstance(row, dict) else {}
