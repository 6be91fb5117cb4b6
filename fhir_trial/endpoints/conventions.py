"""Every choice that endpoint rules leave open, as one frozen object: named parameters, presets as differences, settings from text.

>>> conventions = preset("ema").with_settings({"confirm_days": "21"})
>>> conventions.death_window_days, conventions.departures()
(None, {'confirm_days': 21})
>>> conventions.describe()
'ema, except confirm_days=21'
"""

import dataclasses
import difflib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from fhir_trial.domain.dates import is_full_date, parse_when
from fhir_trial.domain.entities import When
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.errors import UsageError

PlainValue = str | int | float | bool | list[str] | None
"""What a parameter's value is in a file, a JSON result or a call."""

_RELATED = ("RELATED", "POSSIBLE", "PROBABLE", "DEFINITE", "POSSIBLY RELATED", "PROBABLY RELATED", "DEFINITELY RELATED", "Y", "YES")


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """The conventions in force; a field's annotation holds its type or allowed values, and its meaning. Defaults are preset `protocol`."""

    preset: str = "protocol"

    sd_min_days: Annotated[int, "SD and non-CR/non-PD count for BOR only this long after the start"] = 42
    confirm_days: Annotated[int, "least days between a response and its confirmation, inclusive"] = 28
    max_ne_between: Annotated[int, "NE visits allowed between a response and its confirmation"] = 1
    sd_between_ok: Annotated[bool, "an SD between two PRs still confirms"] = False
    pr_sticky: Annotated[Literal["none", "after_first", "after_confirmed"], "a visit that loses -30 % without PD stays PR"] = "none"
    cr_relapse: Annotated[Literal["pd", "per_criteria"], "a lesion back after CR is PD, or judged by the sum"] = "pd"
    nodal_relapse_after_cr: Annotated[Literal["ge10", "sum_rule"], "a node back to 10 mm or more after CR is PD, or judged by the sum"] = (
        "ge10"
    )
    normal_nodes_never_pd: Annotated[bool, "all targets normal (nodes < 10 mm) is CR even where the sum rose 20 % and 5 mm"] = True
    partial_sum_pd: Annotated[bool, "with a target missing, the measured ones may prove PD"] = True
    nontarget_partly_evaluated: Annotated[
        Literal["NE", "NON-CR/NON-PD"], "non-target disease only, some lesions present, some not evaluated"
    ] = "NE"
    markers_required_for_cr: Annotated[bool, "a marker that is not normal leaves the non-target response at NON-CR/NON-PD"] = True
    unconfirmed_cr_label: Annotated[
        Literal["NON-CR/NON-PD", "NE"], "confirmed BOR of an unconfirmed CR without measurable disease, the minimum interval met"
    ] = "NON-CR/NON-PD"
    nontarget_ne_blocks_cr: Annotated[bool, "target CR with non-target not evaluated is PR"] = True
    nadir_includes_baseline: Annotated[bool, "the smallest earlier sum counts the baseline; incomplete visits never count"] = True
    tstm_mm: Annotated[Decimal, "millimetres of a lesion too small to measure"] = Decimal(5)
    backdate_equivocal: Annotated[bool, "PD dated to the visit where the later-confirmed lesion was equivocal"] = False
    exclude_after_nact: Annotated[bool, "responses after new anticancer therapy do not count"] = True
    no_assessment_bor: Annotated[Literal["NE", "MISSING"], "best response without any post-baseline assessment"] = "NE"
    baseline_limits: Annotated[
        Literal["warn", "refuse"], "a finding, or the subject is refused: 5 targets, 2 an organ, 10 mm, nodes 15 mm"
    ] = "warn"
    evaluator: Annotated[str, "whose readings: an evaluator (its accepted reader) or a reader's own name"] = "INVESTIGATOR"
    response_source: Annotated[Literal["auto", "reported", "derived"], "overall responses as reported, or derived from lesions"] = "auto"
    start: Annotated[Literal["enrollment", "consent", "first_dose", "randomization"], "time zero"] = "enrollment"
    death_window_days: Annotated[int | None, "a death counts only this many days after the anchor"] = 63
    death_window_inclusive: Annotated[bool, "the window's last day itself counts"] = True
    death_window_anchor: Annotated[Literal["last_adequate", "last_any"], "the assessment the window starts at; NE is not adequate"] = (
        "last_adequate"
    )
    no_post_anchor: Annotated[Literal["enrollment", "baseline_scan", "none"], "the anchor where there is no post-baseline assessment"] = (
        "enrollment"
    )
    missed_rule: Annotated[Literal["none", "fda"], "fda: an event after two missed visits is censored at the last adequate assessment"] = (
        "none"
    )
    assess_interval_days: Annotated[int, "the schedule that missed visits are judged by"] = 42
    missed_grace_days: Annotated[int, "the grace that missed visits are judged with"] = 14
    nact_rule: Annotated[Literal["ignore", "censor", "event"], "new anticancer therapy; the day it starts counts as before it"] = "ignore"
    clinical_pd_event: Annotated[bool, "clinical progression without imaging is an event"] = False
    pd_scan_date: Annotated[Literal["earliest", "latest"], "which date of a visit with several scans, for PD"] = "earliest"
    censor_scan_date: Annotated[Literal["latest", "earliest"], "the same for censoring and as the anchor of the death window"] = "latest"
    censor_date: Annotated[Literal["last_adequate", "last_any"], "the assessment a censored time ends at; else the start"] = "last_adequate"
    data_cutoff: Annotated[When | None, "nothing after this day is seen"] = None
    ignore_after_withdrawal: Annotated[bool, "data after withdrawal of consent do not count"] = True
    partial_date: Annotated[Literal["mid", "first", "last"], "the day of a date without one; never before last known alive + 1 day"] = "mid"
    add_one: Annotated[bool, "a time is date - start, + 1 where true"] = False
    keep_zero_times: Annotated[bool, "a time of zero stays in the analysis"] = True
    death_date_source: Annotated[Literal["dm+ds", "dm", "dm+ds+ae"], "the first that has the date of death"] = "dm+ds"
    os_censor: Annotated[Literal["last_alive"], "where overall survival is censored"] = "last_alive"
    last_alive_sources: Annotated[Literal["all", "ae+lb+ex"], "records that last known alive is taken from; DM's own date before any"] = (
        "all"
    )
    interval: Annotated[Literal["log-log", "log", "plain"], "pointwise limits of a curve, and the median's"] = "log-log"
    level: Annotated[Decimal, "confidence level"] = Decimal("0.95")
    month_days: Annotated[Decimal | Literal["calendar", "weeks"], "reading times given in months: days a month, or 4 weeks"] = Decimal(
        "30.4375"
    )
    rate_method: Annotated[Literal["km", "proportion"], "a rate at a fixed time"] = "km"
    median_at_half: Annotated[Literal["midpoint", "left", "right"], "the median where the curve is exactly 0.5"] = "midpoint"
    orr_denominator: Annotated[Literal["enrolled", "treated", "evaluable"], "who the response rate is of"] = "enrolled"
    proportion_interval: Annotated[Literal["clopper-pearson", "wilson", "jeffreys"], "limits of a proportion"] = "clopper-pearson"
    dcr_min_days: Annotated[int | None, "SD counts for DCR only this long after the start; none: as sd_min_days"] = None
    cbr_min_days: Annotated[int, "SD counts for CBR only this long after the start"] = 168
    te_window_days: Annotated[int, "treatment-emergent until this many days after the last dose"] = 30
    related_values: Annotated[tuple[str, ...], "causality words that mean related"] = _RELATED
    related_missing: Annotated[Literal["related", "not_related"], "what a missing causality counts as"] = "related"
    ae_count: Annotated[Literal["max_grade", "events"], "per subject and term: once at its maximum grade, or every event"] = "max_grade"
    safety_population: Annotated[Literal["treated"], "who the safety tables are of"] = "treated"
    arm: Annotated[Literal["planned", "actual"], "which arm tables are by"] = "planned"
    exposure_duration: Annotated[Literal["last_dose_plus_cycle", "last_dose_plus_one"], "where exposure ends"] = "last_dose_plus_cycle"
    rdi_denominator: Annotated[Literal["planned_intensity"], "relative dose intensity: actual over planned dose per m2 a week"] = (
        "planned_intensity"
    )
    bsa: Annotated[Literal["recorded", "mosteller", "dubois"], "body surface area that mg/m2 given rests on"] = "recorded"

    @property
    def disease_control_days(self) -> int:
        """The days SD must have lasted to count for DCR."""
        return self.sd_min_days if self.dcr_min_days is None else self.dcr_min_days

    def with_settings(self, settings: Mapping[str, object]) -> "Conventions":
        """These conventions with some changed, each value as text (`"none"`, `"true"`, `"21"`) or typed.

        UsageError names an unknown parameter with the nearest known one, or a value with those allowed.

        >>> preset("protocol").with_settings({"confirm_day": "21"})
        Traceback (most recent call last):
        ...
        fhir_trial.errors.UsageError: no convention is named confirm_day: did you mean confirm_days?
        """
        parsed: dict[str, Any] = {name: _parse(name, value) for name, value in settings.items()}
        return dataclasses.replace(self, **parsed)

    def departures(self) -> dict[str, PlainValue]:
        """The parameters that differ from the preset, with their values."""
        standard = preset(self.preset)
        return {p: _plain(getattr(self, p)) for p in parameters() if getattr(self, p) != getattr(standard, p)}

    def to_dict(self) -> dict[str, PlainValue]:
        """The preset's name and every parameter, as JSON and YAML can hold them."""
        return {"preset": self.preset} | {p: _plain(getattr(self, p)) for p in parameters()}

    @staticmethod
    def from_dict(values: object) -> "Conventions":
        """The conventions of a file: `preset` (else protocol) and the parameters that it sets; a `UsageError` where they are no mapping."""
        if not isinstance(values, Mapping):
            raise UsageError("a file of conventions is an object of names and values")
        settings = dict(values)
        return preset(str(settings.pop("preset", "protocol"))).with_settings(settings)

    def describe(self) -> str:
        """The preset and each departure in one line."""
        changed = ", ".join(f"{name}={'none' if value is None else value}" for name, value in self.departures().items())
        return f"{self.preset}, except {changed}" if changed else self.preset


PRESETS: dict[str, dict[str, PlainValue]] = {
    "protocol": {},
    "fda-2018": {"death_window_days": None, "missed_rule": "fda", "nact_rule": "censor"},
    "ema": {"death_window_days": None},
    "admiralonco": {
        "death_window_days": None,
        "censor_date": "last_any",
        "start": "randomization",
        "add_one": True,
        "no_assessment_bor": "MISSING",
        "partial_date": "last",
        "exclude_after_nact": False,
        "ignore_after_withdrawal": False,
        "last_alive_sources": "ae+lb+ex",
    },
}
"""What each preset changes in `protocol`."""


@dataclass(frozen=True)
class Parameter:
    """One convention as data: its name, what it means, its default and the values it may take, in words."""

    name: str
    meaning: str
    default: PlainValue
    allowed: str


@cache
def parameters() -> dict[str, Parameter]:
    """Every convention by name, in the order of the class.

    >>> parameters()["cr_relapse"].allowed
    'pd, per_criteria'
    """
    hints = get_type_hints(Conventions, include_extras=True)
    fields = [f for f in dataclasses.fields(Conventions) if f.name != "preset"]
    return {f.name: Parameter(f.name, get_args(hints[f.name])[1], _plain(f.default), _allowed(f.name)) for f in fields}


def preset(name: str) -> Conventions:
    """The conventions of that preset; UsageError names the presets there are."""
    if name not in PRESETS:
        raise UsageError(f"no preset is named {name}: there are {', '.join(PRESETS)}")
    return Conventions(preset=name).with_settings(PRESETS[name])


def for_study(study: StudyDefinition, name: str | None = None, settings: Mapping[str, object] | None = None) -> Conventions:
    """A study's conventions: preset `name` (else the study's own), then `settings`.

    The study's departures are from its own preset, so another preset is taken as it stands.
    """
    own = study.conventions if name in (None, study.preset) else {}
    return preset(name or study.preset).with_settings(own).with_settings(settings or {})


@cache
def _alternatives(name: str) -> tuple[Any, ...]:
    """The types and words that parameter `name` may be."""
    return _options(get_args(get_type_hints(Conventions, include_extras=True)[name])[0])


def _options(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a type: of a union its members, of a literal its words."""
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(option for member in get_args(hint) for option in _options(member))
    return get_args(hint) if get_origin(hint) is Literal else (hint,)


_IN_WORDS: dict[Any, str] = {
    bool: "true, false",
    int: "a whole number of 0 or more",
    str: "a name",
    type(None): "none",
    When: "a date (YYYY-MM-DD)",
    tuple[str, ...]: "words separated by commas",
}


def _allowed(name: str) -> str:
    number = "a number between 0 and 1" if name == "level" else "a number above 0"
    return ", ".join(number if o is Decimal else o if isinstance(o, str) else _IN_WORDS[o] for o in _alternatives(name))


def _parse(name: str, value: object) -> object:
    """The value of parameter `name`, from text or as itself; UsageError if it may not be that."""
    if name not in parameters():
        raise UsageError(f"no convention is named {name}: {_nearest(name)}")
    for option in _alternatives(name):
        parsed = _as(option, value)
        if parsed is not _NO and not (name == "level" and parsed >= 1):
            return parsed
    raise UsageError(f"convention {name} cannot be {value!r}: expected {_allowed(name)}")


def _nearest(name: str) -> str:
    """The convention that an unknown name may mean; where none is near, all of them, those first that are somewhat like it."""
    asked = name.lower().replace("-", "_")

    def likeness(known: str) -> float:
        ratio = difflib.SequenceMatcher(None, asked, known).ratio()
        return 1.0 if known.startswith(asked) or known.endswith(asked) else ratio if ratio >= SOMEWHAT else 0.0

    ranked = sorted(parameters(), key=likeness, reverse=True)
    return f"did you mean {ranked[0]}?" if likeness(ranked[0]) >= NEAR else f"they are {', '.join(ranked)}"


NEAR, SOMEWHAT = 0.6, 0.4
"""How alike two names are (`SequenceMatcher.ratio`) of which one may be meant by the other."""

_NO: Any = object()
_WORDS: dict[str, object] = {"none": None, "null": None, "true": True, "false": False}


def _as(option: Any, value: object) -> Any:
    """The value as this alternative of its type, or `_NO`."""
    if isinstance(value, str) and option in (bool, type(None)):
        value = _WORDS.get(value.strip().lower(), value)
    if option is type(None):
        return None if value is None else _NO
    if option is bool:
        return value if isinstance(value, bool) else _NO
    if value is None or isinstance(value, bool):
        return _NO
    if get_origin(option) is tuple:
        return _words(value)
    return _scalar(option, str(value).strip())


def _words(value: object) -> tuple[str, ...]:
    parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
    return tuple(str(part).strip().upper() for part in parts if str(part).strip())


def _scalar(option: Any, text: str) -> Any:
    if option is int:
        # `any` is how protocols say that there is no least number of days
        return 0 if text == "any" else int(text) if text.isascii() and text.isdigit() else _NO
    if option is Decimal:
        return _decimal(text)
    if option is When:
        return parse_when(text) if is_full_date(parse_when(text)) else _NO
    if option is str:
        return text or _NO
    same = text.lower().replace("_", "-") == option.lower().replace("_", "-")
    return option if same else _NO


def _decimal(text: str) -> Any:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _NO
    return number if number.is_finite() and number > 0 else _NO


def _plain(value: Any) -> Any:
    """A value as JSON and YAML hold it: a decimal as the shortest number that reads back as itself."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return list(value) if isinstance(value, tuple) else value
