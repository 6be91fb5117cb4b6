"""Searches read to their end, page by page, and shown to be complete: no loop, no repeat, the total reached, no foreign link.

A page that is not the expected Bundle is asked for again, since a truncated body without a length looks like that; then it is an error.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from fhir_trial.errors import Finding, ServerError
from fhir_trial.fhir import bundles, outcome
from fhir_trial.fhir.http import Exchange, Request
from fhir_trial.sync.failures import BadAnswer, Incomplete, checked_row, read_object, shown_issues

Resource = dict[str, Any]
Take = Callable[[str, list[Resource]], None]
"""Called with a resource type and the rows of one page."""

PAGE_SIZE = 200
IDS_AT_ONCE = 50
"""As many as HAPI, as it comes, gives on a page: it waits half a second before the next. They make a URL of 1.9 kB of the usual 8."""
_READINGS = 3
# no-cache: HAPI answers the same search from the results of a minute ago, which would hide what was just written.
_HEADERS = {"Cache-Control": "no-cache", "Prefer": "handling=strict"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Where reading a search stops for safety: pages without a stated total, and pages in a row that hold nothing."""

    pages_without_total: int = 2_000
    empty_pages: int = 5


@dataclass(frozen=True, slots=True)
class Found:
    """How a search ended: rows read, the total the server stated, and what it said besides (issue codes, no text)."""

    rows: int
    total: int | None
    findings: tuple[Finding, ...] = ()


def ask(request: Request, expected: str) -> Exchange[Resource]:
    """The resource of type `expected` that answers `request`, asked for up to three times when the body is none."""
    for reading in range(_READINGS):
        response = yield request
        try:
            return read_object(request, response, expected)
        except BadAnswer:
            if reading + 1 == _READINGS:
                raise
    raise AssertionError


def search_url(resource_type: str, parameters: Sequence[tuple[str, str]]) -> str:
    """The relative URL of a search.

    >>> search_url("Observation", [("identifier", "https://a.example|S1/1")])
    'Observation?identifier=https%3A%2F%2Fa.example%7CS1%2F1'
    """
    query = "&".join(f"{quote(name, safe=':')}={quote(value, safe=',')}" for name, value in parameters)
    return f"{resource_type}?{query}" if query else resource_type


def search(
    resource_type: str, parameters: Sequence[tuple[str, str]], take: Take, limits: Limits | None = None, post: bool = False
) -> Exchange[Found]:
    """Read all rows of a search; each page's rows go to `take` before the next page is asked for.

    With `post` the parameters travel in the body, not in a URL that proxies write down.
    Raises `Incomplete` where the rows cannot be shown to be all and each once, `BadAnswer`, `AnswerError` or `ForeignLink` otherwise; what
    was taken before is then not to be used.
    """
    reading = _Reading(resource_type, limits or Limits())
    url: str | None = search_url(resource_type, [*parameters, *([] if _has_count(parameters) else [("_count", str(PAGE_SIZE))])])
    request = _form(url or "") if post else Request("GET", url or "", _HEADERS)
    while url is not None:
        reading.visit(url)
        page = yield from ask(request if len(reading.links) == 1 else Request("GET", url, _HEADERS), "Bundle")
        take(resource_type, reading.rows_of(page))
        url = next_page(page, url, resource_type)
    return reading.end()


def _form(url: str) -> Request:
    """The search of a URL as a form."""
    resource_type, _, query = url.partition("?")
    headers = _HEADERS | {"Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", f"{resource_type}/_search", headers, query.encode())


def _has_count(parameters: Sequence[tuple[str, str]]) -> bool:
    return any(name == "_count" for name, _ in parameters)


class _Reading:
    """What has been seen of one search so far."""

    def __init__(self, resource_type: str, limits: Limits) -> None:
        self._type, self._limits = resource_type, limits
        self.links: set[str] = set()
        self._ids: set[str] = set()
        self._total: int | None = None
        self._empty = 0
        self._findings: list[Finding] = []

    def visit(self, url: str) -> None:
        """Count a link as followed."""
        parts = urlsplit(url)
        link = f"{parts.path.rpartition('/')[2]}?{parts.query}"
        if link in self.links:
            raise self._incomplete("the pages lead in a circle")
        self.links.add(link)
        if self._total is None and len(self.links) > self._limits.pages_without_total:
            raise self._incomplete(f"no end after {self._limits.pages_without_total} pages, and no total is stated")

    def rows_of(self, page: Resource) -> list[Resource]:
        """The rows of a page, checked."""
        if page.get("type") not in ("searchset", None):
            raise BadAnswer(f"GET {self._type}: the answer is no searchset")
        if not isinstance(page.get("entry", []), list) or not isinstance(page.get("link", []), list):
            raise BadAnswer(f"GET {self._type}: the answer is no searchset")
        self._read_total(page)
        rows = [row for entry in page.get("entry", []) for row in self._row(entry)]
        for row in rows:
            if row["id"] in self._ids:
                raise self._incomplete("a row came twice")
            self._ids.add(row["id"])
        if self._total is not None and len(self._ids) > self._total:
            raise self._incomplete("more rows than the total stated")
        self._empty = 0 if rows else self._empty + 1
        if self._empty > self._limits.empty_pages:
            raise self._incomplete("page after page without a row")
        return rows

    def end(self) -> Found:
        """The search's end; the total must be reached."""
        if self._total is not None and len(self._ids) != self._total:
            raise self._incomplete(f"{len(self._ids)} rows came of {self._total}")
        return Found(len(self._ids), self._total, tuple(self._findings))

    def _read_total(self, page: Resource) -> None:
        total = page.get("total")
        if total is None:
            return
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise BadAnswer(f"GET {self._type}: the total is no number")
        self._total = total if self._total is None else self._total

    def _row(self, entry: Any) -> list[Resource]:
        """The row in an entry: none where it is the server's word about the search, or included beside it."""
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            raise BadAnswer(f"GET {self._type}: an entry holds no resource")
        stated = entry.get("search")
        mode = stated.get("mode") if isinstance(stated, dict) else None
        if resource.get("resourceType") == "OperationOutcome" or mode == "outcome":
            self._hear(resource)
            return []
        if mode == "include":
            self._findings.append(Finding("included-row", self._type, expected="rows of the type asked for", severity="information"))
            return []
        if resource.get("resourceType") != self._type:
            raise BadAnswer(f"GET {self._type}: an entry is no {self._type}")
        return [checked_row(resource, f"GET {self._type}")]

    def _hear(self, resource: Resource) -> None:
        """Keep a warning; an error means that rows are missing."""
        stated = outcome.read(resource)
        if stated is None or stated.is_failure:
            codes = ", ".join(code for code, _ in shown_issues(stated)) if stated else "not readable"
            raise self._incomplete(f"the server reports an error among the rows ({codes})")
        self._findings.extend(Finding("server-message", self._type, severity="warning") for _ in stated.issues)

    def _incomplete(self, why: str) -> Incomplete:
        return Incomplete(f"GET {self._type}: {why}")


def next_page(page: Resource, url: str, resource_type: str) -> str | None:
    """The next page's URL, resolved against this page's; None at the end. An empty or strange link is an error, not an end."""
    links = [item for item in page.get("link", []) if isinstance(item, dict) and item.get("relation") == "next"]
    if not links:
        return None
    link = bundles.link(page, "next")
    if len(links) > 1 or not isinstance(link, str) or not link.strip():
        raise Incomplete(f"GET {resource_type}: the link to the next page is no URL")
    try:
        return urljoin(url, link)
    except ValueError:
        raise Incomplete(f"GET {resource_type}: the link to the next page is no URL") from None


def collect(resource_type: str, parameters: Sequence[tuple[str, str]], post: bool = False) -> Exchange[list[Resource]]:
    """All rows of a search, in memory."""
    rows: list[Resource] = []

    def take(_: str, page: list[Resource]) -> None:
        rows.extend(page)

    yield from search(resource_type, parameters, take, post=post)
    return rows


def read_ids(resource_type: str, ids: Sequence[str]) -> Exchange[dict[str, Resource]]:
    """Those of the resources with these ids that the server has, by id; asks for no others, and takes no others."""
    found: dict[str, Resource] = {}
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        rows = yield from collect(resource_type, [("_id", ",".join(some)), ("_count", str(len(some)))])
        if not {row["id"] for row in rows} <= set(some):
            raise ServerError(f"GET {resource_type}: the server does not search by _id")
        found.update((row["id"], row) for row in rows)
    return found
