"""Carrying a plan out so that exactly one copy of everything is on the server, whatever breaks on the way.

Where the server takes ids of ours every write is a PUT to one; elsewhere a create is a POST, on the condition that nothing has its
business key where the server heeds that, and else only after a search. Updates are of the version that was seen. A request goes into the
journal before it is sent.
Where its fate is not known, or the server names a conflict, the server is read and each resource settled by what it holds: done, still
to do, or a conflict. Nothing is sent twice on a guess.
"""

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_trial.errors import ConfigurationError, Finding, PartlyDone, ServerError, Unreachable
from fhir_trial.fhir import bundles, outcome
from fhir_trial.fhir.http import Exchange, Request, Response
from fhir_trial.fhir.references import Literal, literal
from fhir_trial.progress import Progress, silent
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import Keys, differences, digest
from fhir_trial.sync.decide import Choices, Item, version_of
from fhir_trial.sync.failures import BadAnswer, ForeignLink, Interrupted, OutOfTime, issues, read_object, refusal, resource_type
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.locate import locate, moved
from fhir_trial.sync.order import chunks, groups, place_of, references
from fhir_trial.sync.origin import Origin
from fhir_trial.sync.plan import Plan, plan_by_piece
from fhir_trial.sync.spool import Spool
from fhir_trial.sync.synced import Synced, remembered
from fhir_trial.sync.writes import single, transaction

Resource = dict[str, Any]

ENTRIES_AT_ONCE = 200
"""Entries of one transaction; HAPI takes about a second for so many."""
_ROUNDS = 6
_CONFLICT = frozenset({409, 412})
_SIGN_IN = frozenset({401, 403})


@dataclass(repr=False)
class Report:
    """What a sync did; `verified` counts those whose answer was lost and that the server was then found to hold."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    verified: int = 0
    resumed: int = 0
    """Requests of an earlier, broken run that were settled."""
    conflicts: list[Item] = field(default_factory=list)
    refused: list[Item] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    """One a resource that the server rejected, and a place for each conflict and refusal."""

    @property
    def there(self) -> int:
        """How many resources the server now holds as wanted."""
        return self.created + self.updated + self.unchanged

    @property
    def written(self) -> int:
        """How many resources were created, updated or deleted."""
        return self.created + self.updated + self.deleted

    def counts(self) -> dict[str, int]:
        """What happened to how many resources."""
        stated = ("created", "updated", "deleted", "unchanged", "verified")
        rejected = sum(finding.code.startswith("rejected") for finding in self.findings)
        aside = {"conflicts": len(self.conflicts), "refused": len(self.refused), "rejected": rejected}
        return {name: getattr(self, name) for name in stated} | aside

    def __repr__(self) -> str:
        """Counts only."""
        return f"Report({self.counts()})"

    @property
    def is_clean(self) -> bool:
        """Whether everything the plan wanted is on the server."""
        return not self.findings


def push(resources: Iterable[Resource], server: ServerInfo, journal: Journal, choices: Choices | None = None) -> Exchange[Report]:
    """Plan and apply in one go."""
    with Spool.of(resources) as ours:
        return (yield from push_spooled(ours, server, journal, choices))


def push_spooled(
    ours: Spool, server: ServerInfo, journal: Journal, choices: Choices | None = None, progress: Progress = silent
) -> Exchange[Report]:
    """Plan and apply piece by piece, in memory that does not grow with the number of resources; it raises what `apply` does."""
    plans = plan_by_piece(ours, server, journal.synced(server.base_url), choices)
    return (yield from _carry_out(plans, _Work(server, journal), len(ours), progress))


def apply(plan: Plan, journal: Journal, progress: Progress = silent) -> Exchange[Report]:
    """Carry `plan` out; conflicts and what the server rejects are in the report and stop nothing else.

    Raises `PartlyDone` where something was written before the server could not be reached or would not go on, else the error itself;
    either way the next plan goes on from what the server holds.
    """
    return (yield from _carry_out([_made(plan)], _Work(plan.server, journal), len(plan.items), progress))


def _carry_out(plans: Iterable[Exchange[Plan]], work: "_Work", total: int, progress: Progress) -> Exchange[Report]:
    """Plan and write piece by piece; `total` is how many resources there are."""
    try:
        for step in plans:
            plan = yield from step
            for chunk in work.begin(plan) if plan.items else ():
                yield from work.write(chunk, as_transaction=_goes_together(chunk, plan.server))
                progress("writing", work.report.there, total)
        work.settle_earlier_runs()
    except (Unreachable, ServerError, ConfigurationError) as error:
        if work.report.written == 0:
            raise
        raise PartlyDone(f"{work.report.there} of {total} resources are written; run again to go on: {error}") from None
    return work.report


def _made(plan: Plan) -> Exchange[Plan]:
    """A plan that is made already, as a piece."""
    yield from ()
    return plan


def _goes_together(chunk: Sequence[Item], server: ServerInfo) -> bool:
    return server.transactions and all(item.identity == "client-id" for item in chunk)


def _in_order(plan: Plan) -> Iterable[list[Item]]:
    """Writes in chunks, each after those it refers to, then deletions."""
    writes = {item.place: item for item in plan.of("create", "update")}
    grouped = groups({place: list(references(item.resource)) for place, item in writes.items()})
    for places in chunks(grouped, ENTRIES_AT_ONCE):
        yield [writes[place] for place in places]
    deletes = plan.of("delete")
    for start in range(0, len(deletes), ENTRIES_AT_ONCE):
        yield deletes[start : start + ENTRIES_AT_ONCE]


class _Work:
    """What is known while plans are carried out, one after the other."""

    def __init__(self, server: ServerInfo, journal: Journal) -> None:
        self._info, self._journal, self._server = server, journal, server.base_url
        self._earlier = [sent.number for sent in journal.unanswered(self._server)]
        self._missing: set[str] = set()
        self._worked_out: dict[str, Synced] = {}
        self._where: MutableMapping[str, str] = {}
        self._keys: Keys = {}
        self.report = Report()

    def begin(self, plan: Plan) -> Iterable[list[Item]]:
        """Take up a plan: set aside what is not written, keep what is unchanged as synced; what is to be written comes back in order."""
        self._where, self._keys = plan.where, plan.keys
        self.report.unchanged += len(plan.of("unchanged"))
        for item in plan.of("conflict", "refused"):
            self._set_aside(item)
        known = self._journal.synced(self._server)
        unchanged = (item for item in plan.of("unchanged") if item.resource is not None and not _is_settled(item))
        self._journal.remember(
            self._server, {item.place: self._synced(item) for item in unchanged if not self._is_known(item, known.get(item.place))}
        )
        self._worked_out.clear()
        return _in_order(plan)

    def settle_earlier_runs(self) -> None:
        """Close what earlier runs left open: by now the server was read, and each resource settled by what it made of it."""
        for number in self._earlier:
            self._journal.close_request(number, "settled")
            self.report.resumed += 1

    def _is_known(self, item: Item, known: Synced | None) -> bool:
        """Whether the journal says already what there is to say of an item that both sides agree on: most, and cheaply told."""
        if known is None or known.base is None or item.source is not None or known.source is not None:
            return False
        return item.held is not None and known.digests == (digest(item.held),) and known.at == self._where.get(item.place)

    def write(self, items: list[Item], as_transaction: bool) -> Exchange[None]:
        """Write some items, together or one by one, until each is done, in conflict or rejected."""
        items = [item for item in items if not self._is_stranded(item)]
        if not as_transaction and len(items) > 1:
            for item in items:
                yield from self.write([item], as_transaction=False)
            return
        pending, failure = items, None
        for _ in range(_ROUNDS if items else 0):
            response, failure = yield from self._send(pending, as_transaction)
            if response is not None and _is_accepted(response, pending, as_transaction):
                yield from self._note_place(pending[0], response)
                self._done(pending)
                return
            if response is not None and _is_rejected(response):
                yield from self._rejected(pending, response, as_transaction)
                return
            before = pending
            pending = yield from self._settle(pending)
            if not pending:
                return
            if isinstance(failure, OutOfTime):
                break
            if response is not None and response.status in _CONFLICT and pending == before:
                yield from self._rejected(pending, response, as_transaction)
                return
        if failure is not None:
            raise failure

    def _send(self, items: list[Item], as_transaction: bool) -> Exchange[tuple[Response | None, Exception]]:
        """Send one request, with its row in the journal before and its outcome after."""
        request = transaction(items, self._info, self._where) if as_transaction else single(items[0], self._where)
        number = self._journal.begin(self._server, {item.place: self._digest(item) for item in items})
        try:
            response = yield request
        except (Interrupted, BadAnswer) as error:
            self._journal.close_request(number, "unknown")
            return None, error
        if response.status in _SIGN_IN:
            self._journal.close_request(number, "refused", response.status)
            raise refusal(request, response)
        accepted = _is_accepted(response, items, as_transaction)
        refused = _is_rejected(response) or response.status in _CONFLICT
        self._journal.close_request(number, "done" if accepted else "refused" if refused else "unknown", response.status)
        return response, _why_not(request, response)

    def _settle(self, items: Sequence[Item]) -> Exchange[list[Item]]:
        """Read the server and settle each item by what it holds; what is still to be done comes back."""
        ours = {item.place: item.resource for item in items if item.resource is not None}
        located = yield from locate((item.place for item in items), ours, self._info, self._where)
        pending, done = [], []
        for item in items:
            current = located.theirs.get(item.place)
            is_there = self._is_there(item, current)  # as it was sent: before its own place is known
            if current is not None and place_of(current) != item.place:
                self._where[item.place] = place_of(current)
            if is_there:
                done.append(item)
            elif (version_of(current) if current else None) == item.version:
                pending.append(item)
            else:
                self._set_aside(replace(item, action="conflict", reason="changed on the server while we were writing"))
        self.report.verified += len(done)
        self._done(done)
        return pending

    def _is_there(self, item: Item, current: Resource | None) -> bool:
        if item.resource is None or current is None:
            return item.resource is None and current is None
        return not differences(current, moved(item.resource, self._where), self._keys)

    def _rejected(self, items: list[Item], response: Response, as_transaction: bool) -> Exchange[None]:
        """Find whose fault it is: the server rejects a transaction whole, so its resources are sent one by one."""
        if as_transaction:
            yield from self.write(items, as_transaction=False)
            return
        item = items[0]
        if response.status in _CONFLICT:
            self._set_aside(replace(item, action="conflict", reason="the server names a conflict"))
            return
        if item.version is None:
            self._missing.add(item.place)
        code, path = next(iter(issues(response)), ("", ""))
        self.report.findings.append(
            Finding(f"rejected-{response.status}", item.place, field=path or None, effect=code or "it is not on the server")
        )

    def _is_stranded(self, item: Item) -> bool:
        """Set an item aside that refers to one the server rejected: not every server would notice."""
        if not self._missing or self._missing.isdisjoint(references(item.resource)):
            return False
        self._missing.add(item.place)
        self._set_aside(replace(item, action="refused", reason="it refers to a resource that the server rejected"))
        return True

    def _done(self, items: Sequence[Item]) -> None:
        written = {item.place: self._synced(item) for item in items if item.resource is not None}
        self._journal.remember(self._server, written, [item.place for item in items if item.resource is None])
        self._worked_out.clear()
        for item in items:
            name = {"create": "created", "update": "updated"}.get(item.action, "deleted")
            setattr(self.report, name, getattr(self.report, name) + 1)

    def _synced(self, item: Item) -> Synced:
        """What to remember of an item: what the server holds, as it was sent or read, whatever has got a place there since."""
        known = self._worked_out.get(item.place)
        if known is None:
            held = item.held if item.action == "unchanged" else moved(item.resource, self._where)
            known = remembered(item.source if item.source is not None else item.resource or {}, held)
            self._worked_out[item.place] = known
        return replace(known, at=self._where.get(item.place))

    def _digest(self, item: Item) -> str | None:
        return self._synced(item).digests[0] if item.resource is not None else None

    def _note_place(self, item: Item, response: Response) -> Exchange[None]:
        """Remember where the server put what it gave an id of its own; where it does not say, it is looked for: others refer to it."""
        if item.action != "create" or item.identity == "client-id" or item.resource is None:
            return
        at = _place_in(response, self._server)
        if at is None or at.type != item.type:
            located = yield from locate([item.place], {item.place: item.resource}, self._info, self._where)
            found = located.theirs.get(item.place)
            at = literal(place_of(found)) if found is not None else None
        if at is not None:
            self._where[item.place] = f"{at.type}/{at.id}"

    def _set_aside(self, item: Item) -> None:
        listed = self.report.refused if item.action == "refused" else self.report.conflicts
        listed.append(item)
        self.report.findings.append(Finding(item.action, item.place, effect=item.reason))


def _is_settled(item: Item) -> bool:
    """Whether an unchanged item stands as it was remembered: different from the server's, or merely not looked at."""
    return item.reason is not None and item.source is None


def _is_accepted(response: Response, items: Sequence[Item], as_transaction: bool) -> bool:
    """Whether the answer says that every item was done; a short or strange one says nothing."""
    if not response.is_success:
        return not as_transaction and response.status in (404, 410) and items[0].resource is None
    if not as_transaction:
        said = outcome.read(response.body)
        return said is None or not said.is_failure
    try:
        answers = list(bundles.responses(read_object(Request("POST", ""), response, "Bundle")))
    except BadAnswer:
        return False
    return len(answers) == len(items) and all(map(_is_about, answers, items))


def _is_about(answer: bundles.EntryResponse, item: Item) -> bool:
    """Whether an entry of a transaction's answer says that this item was done: 2xx, and no other place than its own."""
    return 200 <= answer.status < 300 and (answer.id is None or f"{answer.type}/{answer.id}" == item.place)


def _place_in(response: Response, base_url: str) -> Literal | None:
    """The place that a create's answer names, if it is on the server itself."""
    link = (response.header("Location") or response.header("Content-Location") or "").partition("?")[0]
    try:
        return literal(Origin.parse(base_url).resolve(link)) if link else None
    except ForeignLink:
        return None


def _is_rejected(response: Response) -> bool:
    """Whether the server took nothing of it and will not: it read the request and refused its content."""
    return response.status == 501 or (400 <= response.status < 500 and response.status not in (*_CONFLICT, 408, 429))


def _why_not(request: Request, response: Response) -> Exception:
    if response.is_success:
        what = f"{request.method} {resource_type(request.url)}"
        return BadAnswer(f"{what}: the answer is short, strange or an error with 2xx, and the server does not hold what was sent")
    return refusal(request, response)
