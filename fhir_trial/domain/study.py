"""The study definition: registry facts, arms and planned exposure, endpoints as data. Nothing in it is invented."""

from decimal import Decimal

from msgspec import Struct, field

from fhir_trial.domain.entities import When
from fhir_trial.errors import NoSuchName


class Sponsor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is responsible for the study."""

    id: str
    name: str


class PlannedExposure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a drug is to be given: `dose` in `unit` (UCUM: mg, mg/m2) on `day` of a cycle of `cycle_days`, over `minutes`."""

    dose: Decimal
    unit: str
    route: str
    cycle_days: int | None = None
    day: int | None = None
    minutes: int | None = None
    frequency: str | None = None
    until: str | None = None


class Drug(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A drug of the study; `medication` is its name in the exposure records (SDTM EXTRT)."""

    medication: str
    name: str
    form: str | None = None
    manufacturer: str | None = None
    planned: PlannedExposure | None = None


class ArmDefinition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An arm and the drugs it gets."""

    name: str
    type: str | None = None
    code: str | None = None
    """The arm's code in the data (SDTM ARMCD), where it has one."""
    description: str | None = None
    medications: tuple[str, ...] = ()


class Outcome(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An outcome measure as registered; `endpoint` names the endpoint that reports it."""

    title: str
    level: str
    description: str | None = None
    time_frame: str | None = None
    endpoint: str | None = None


class Eligibility(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may take part, as far as the registry record says."""

    minimum_age: str | None = None
    maximum_age: str | None = None
    sex: str | None = None
    criteria: tuple[str, ...] = ()


class EnrollmentFigures(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many people the registry record says are to take part, or took part."""

    planned: int | None = None
    actual: int | None = None


class OtherNumber(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another number of the study: of which kind, in the registry's word, and given by whom."""

    value: str
    kind: str | None = None
    issuer: str | None = None


class NamedParty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who has a part in the study beside its sponsor: a collaborator, a principal investigator."""

    role: str
    name: str
    affiliation: str | None = None


class SiteDefinition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place where the study is done; `site` is its number in the data, or what stands for one until it has one."""

    site: str
    name: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    status: str | None = None
    """Whether it recruits, in the registry's word."""


class ReadingTime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time at which a curve is read, such as 4 months."""

    at: Decimal
    unit: str = "months"


class EndpointDefinition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint as data: `kind` is time-to-event, proportion or safety; `events` and `censors` are named ones of `endpoints`."""

    name: str
    label: str
    kind: str
    level: str = "other"
    population: str = "enrolled"
    start: str | None = None
    events: tuple[str, ...] = ()
    censors: tuple[str, ...] = ()
    rates: tuple[ReadingTime, ...] = ()
    description: str | None = None


class CodeTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the study's own: for each text of `variable` in the data, the values of variables that follow from it."""

    variable: str
    values: dict[str, dict[str, str]]


class OdmItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an item of ODM stands in SDTM; `group` where its OID is used in several groups, `test` where its row is about one test."""

    item: str
    domain: str
    variable: str
    group: str | None = None
    test: str | None = None
    unit: str | None = None
    """The unit of the item's values, where the file names none."""


class SourceNotes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be known to read the study's data files."""

    domains: dict[str, str] = field(default_factory=dict)
    """Domain to file name without ending, where they differ (rs: rs_onco_recist)."""
    time_zone: str | None = None
    """IANA zone of clock times; without it a local time stays local."""
    unique_aespid: bool = False
    expected_missing: dict[str, str] = field(default_factory=dict)
    """Facts the study did not collect (field to reason): said once, not found on every row."""
    tables: tuple[CodeTable, ...] = ()
    """Code tables of the study's own; CSV files in the folder beside the study file are added to them."""
    odm_items: tuple[OdmItem, ...] = ()
    """Where ODM's items stand in SDTM; a file odm-items.csv in that folder is added to them."""


class StudyDefinition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One study, as its YAML file states it; `codes` is the study's overlay of the code tables."""

    id: str
    title: str
    status: str
    sponsor: Sponsor
    arms: tuple[ArmDefinition, ...]
    drugs: tuple[Drug, ...]
    outcomes: tuple[Outcome, ...]
    endpoints: tuple[EndpointDefinition, ...]
    official_title: str | None = None
    acronym: str | None = None
    identifiers: tuple[OtherNumber, ...] = ()
    """Its numbers beside `id`: the sponsor's, other registries'."""
    why_stopped: str | None = None
    phase: str | None = None
    purpose: str | None = None
    condition: str | None = None
    description: str | None = None
    started_on: When | None = None
    ended_on: When | None = None
    blinded_until: When | None = None
    """Until then (a partial date: until its end) no server but a research store is told who is in which arm."""
    eligibility: Eligibility = Eligibility()
    enrollment: EnrollmentFigures = EnrollmentFigures()
    """As registered; subjects in the data count before the record's actual figure."""
    parties: tuple[NamedParty, ...] = ()
    sites: tuple[SiteDefinition, ...] = ()
    """As registered; sites that the data name are added, and those of the same number are the same."""
    grading: str | None = None
    """How adverse events are graded, such as CTCAE 4.03."""
    preset: str = "protocol"
    conventions: dict[str, str | int | bool] = field(default_factory=dict)
    """Departures of the study from its preset."""
    sources: SourceNotes = SourceNotes()
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    """Where each fact comes from."""

    def is_blinded_on(self, day: str) -> bool:
        """Whether the arms are not to be told on that day (ISO)."""
        if self.blinded_until is None:
            return False
        shown = day[: len(self.blinded_until)]
        return shown < self.blinded_until or (shown == self.blinded_until and len(shown) < len(day))

    def endpoint(self, name: str) -> EndpointDefinition:
        """The endpoint of that name; `NoSuchName`, a KeyError, if the study has none."""
        named = {endpoint.name: endpoint for endpoint in self.endpoints}
        if name not in named:
            raise NoSuchName(f"endpoint of {self.id} named", name, named)
        return named[name]
