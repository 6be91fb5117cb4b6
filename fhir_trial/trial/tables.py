"""A trial's tables as an analyst reads them: one an entity and one a repeat, with study days, cycles and labels beside the recorded values.

They are made from the domain's tables, so they have the same columns whether the data came from R4, R5 or SDTM.
"""

import types
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_trial.domain.entities import ENTITIES, RESULT_ENTITIES, Entity, When
from fhir_trial.domain.tables import TrialData, entity_schema
from fhir_trial.errors import UsageError
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.mapping.rules import EachRule, EntityRules, RuleSet, load_rules
from fhir_trial.trial.lineage import with_lineage

JOINS: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "subject": ("patient", ("study", "subject"), {"sex": "sex", "birth_date": "birth_date", "death_date": "death_date", "dead": "dead"}),
    "dose": ("medication", ("study", "medication"), {"name": "medication_name"}),
    "measurement": ("lesion", ("study", "subject", "lesion", "evaluator", "evaluator_id"), {"organ": "organ", "nodal": "nodal"}),
}
"""What a table takes from another by the key of the reference between them: which table, the key, and its columns by their names here."""
_NO_DAY = ("birth_date",)


def table_names() -> list[str]:
    """The names of all tables: the entities, and each entity's repeats as `subject_dispositions`."""
    return [name for entity in ENTITIES if entity not in RESULT_ENTITIES for name in (entity, *(f"{entity}_{r}" for r in _repeats(entity)))]


def trial_table(data: TrialData, name: str, lineage: bool = False) -> pa.Table:
    """The table of an entity, or of a repeat (its entity's key, `item_index` from 0, and its fields); empty where the data have none.

    Beside each date stands its study day (`start` has `start_day`, `on` has `day`), where both it and the reference are full dates;
    `cycle` is the recorded one, else the last that had begun; a coded value has its `_label`. With `lineage`, `resource` and `version`
    say what each row was read from. Raises `UsageError` for another name.
    """
    entity, repeat = _named(name)
    table = data.table(entity)
    table = _repeat_table(table, entity, repeat) if repeat else _joined(data, entity, table.drop_columns(_repeats(entity)))
    table = _with_days(data, table, _dates(entity, repeat))
    table = _with_labels(table, _labels(entity, repeat))
    return with_lineage(table, data, entity) if lineage else table


def _named(name: str) -> tuple[str, str]:
    if name not in table_names():
        raise UsageError(f"there is no table {name!r}; there are {', '.join(table_names())}")
    if name in ENTITIES:
        return name, ""
    entity = next(e for e in ENTITIES if name.startswith(f"{e}_") and name.removeprefix(f"{e}_") in _repeats(e))
    return entity, name.removeprefix(f"{entity}_")


@cache
def _repeats(entity: str) -> list[str]:
    return [field.name for field in entity_schema(ENTITIES[entity]) if pa.types.is_list(field.type)]


@cache
def _rules() -> RuleSet:
    return load_rules(DEFAULT)


def _repeat_table(table: pa.Table, entity: str, repeat: str) -> pa.Table:
    """One row an item, with the key of its row and its place among the items; items' own repeats are left out."""
    lists = table[repeat].combine_chunks()
    parents = pc.list_parent_indices(lists)
    items = pc.list_flatten(lists)
    columns = {name: table[name].take(parents) for name in _rules().entities[entity].key}
    owners = np.asarray(parents)
    first = np.searchsorted(owners, owners)  # the parents come in order, so a row's place is its distance from its parent's first
    columns["item_index"] = pa.array(np.arange(len(owners)) - first, pa.int64())
    for field in items.type:
        if not pa.types.is_list(field.type):
            name = field.name if field.name not in columns else f"{repeat}_{field.name}"
            columns[name] = pc.struct_field(items, field.name)
    return pa.table(columns)


def _joined(data: TrialData, entity: str, table: pa.Table) -> pa.Table:
    """The table with what it takes from another; a row whose reference leads nowhere has nulls there."""
    if entity not in JOINS:
        return table
    other, key, columns = JOINS[entity]
    target = data.table(other)
    places: dict[tuple[Any, ...], int] = {}
    for place, row in enumerate(_tuples(target, key)):
        places.setdefault(row, place)
    found = pa.array([places.get(row) for row in _tuples(table, key)], pa.int64())
    for theirs, ours in columns.items():
        table = table.append_column(ours, target[theirs].combine_chunks().take(found))
    return table


def _tuples(table: pa.Table, names: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _with_days(data: TrialData, table: pa.Table, dates: list[str]) -> pa.Table:
    """The table with the study day of each date behind it, and the cycle of the first of them."""
    if "subject" not in table.column_names:
        return table
    subjects = table["subject"].to_pylist()
    reference = reference_days(data)
    start = np.array([reference.get(subject, np.nan) for subject in subjects], np.float64)
    for name in (date for date in dates if date in table.column_names):
        since = _days(table[name]) - start
        day = pa.array(since + (since >= 0), pa.int64(), from_pandas=True, safe=False)
        table = table.add_column(table.column_names.index(name) + 1, _day_name(name), day)
    on = next((name for name in ("on", "start") if name in table.column_names), None)
    return table if on is None else _with_cycle(data, table, _days(table[on]))


def _day_name(date: str) -> str:
    """The column of a date's study day.

    >>> _day_name("on"), _day_name("start"), _day_name("ended_on"), _day_name("death_date")
    ('day', 'start_day', 'ended_day', 'death_day')
    """
    return "day" if date == "on" else f"{date.removesuffix('_on').removesuffix('_date')}_day"


def reference_days(data: TrialData) -> dict[str, float]:
    """The day since 1970 that each subject's study days count from, day 1: the first dose, where none is known SDTM's reference start.

    A subject who was never treated has none, and no study days. There is no day 0: the day before is -1 (SDTMIG 4.4.4).
    """
    found: dict[str, float] = {}
    doses = data.table("dose").filter(pc.field("status") != "not-done")
    for subject, day in zip(doses["subject"].to_pylist(), _days(doses["start"]).tolist(), strict=True):
        if not np.isnan(day):
            found[subject] = min(day, found.get(subject, day))
    table = data.table("subject")
    columns = (table["subject"].to_pylist(), _days(table["first_dose_on"]).tolist(), _days(table["enrolled_on"]).tolist())
    for subject, first, enrolled, source in zip(*columns, table["enrolled_source"].to_pylist(), strict=True):
        if not np.isnan(first):
            found[subject] = first
        elif source == "RFSTDTC" and not np.isnan(enrolled):
            found.setdefault(subject, enrolled)
    return found


def _days(dates: pa.ChunkedArray) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Days since 1970 of full dates, as recorded: a clock time or zone moves nothing. NaN where the day is not known."""
    days = pc.utf8_slice_codeunits(dates.combine_chunks(), 0, 10)
    full = pc.if_else(pc.equal(pc.utf8_length(days), 10), days, pa.scalar(None, pa.string()))
    numbers = full.cast(pa.date32()).cast(pa.int32()).cast(pa.float64())
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)


def _with_cycle(data: TrialData, table: pa.Table, days: "np.ndarray[Any, np.dtype[np.float64]]") -> pa.Table:
    """The table with `cycle`: as recorded, else the subject's last cycle whose first dose was on that day or before."""
    starts = _cycle_starts(data)
    found = [_last_begun(starts.get(subject, []), day) for subject, day in zip(table["subject"].to_pylist(), days.tolist(), strict=True)]
    cycle = pa.array(found, pa.int64())
    if "cycle" in table.column_names:
        return table.set_column(table.column_names.index("cycle"), "cycle", pc.coalesce(table["cycle"], cycle))
    return table.append_column("cycle", cycle)


def _cycle_starts(data: TrialData) -> dict[str, list[tuple[float, int]]]:
    """By subject, the day of the first dose of each cycle that dose records name, in order."""
    doses = data.table("dose")
    first: dict[tuple[str, int], float] = {}
    for subject, cycle, day in zip(doses["subject"].to_pylist(), doses["cycle"].to_pylist(), _days(doses["start"]).tolist(), strict=True):
        if cycle is not None and not np.isnan(day):
            first[subject, cycle] = min(day, first.get((subject, cycle), day))
    found: dict[str, list[tuple[float, int]]] = {}
    for (subject, cycle), day in sorted(first.items(), key=lambda item: (item[1], item[0])):
        found.setdefault(subject, []).append((day, cycle))
    return found


def _last_begun(starts: list[tuple[float, int]], day: float) -> int | None:
    place = bisect_right(starts, day, key=lambda start: start[0]) if not np.isnan(day) else 0
    return starts[place - 1][1] if place else None


@cache
def _dates(entity: str, repeat: str) -> list[str]:
    """The fields of a table that hold dates."""
    hints = get_type_hints(_member(entity, repeat))
    names = [name for name, hint in hints.items() if When in (hint, *get_args(hint)) and name not in _NO_DAY]
    taken = JOINS.get(entity, ("", (), {}))[2].values() if not repeat else ()
    return [*names, *(name for name in taken if name.endswith("_date") and name not in _NO_DAY)]


def _member(entity: str, repeat: str) -> type[Entity]:
    if not repeat:
        return ENTITIES[entity]
    hint = get_type_hints(ENTITIES[entity])[repeat]
    inner: type[Entity] = get_args(hint if get_origin(hint) not in (Union, types.UnionType) else get_args(hint)[0])[0]
    return inner


@cache
def _labels(entity: str, repeat: str) -> dict[str, dict[str, str]]:
    """By field, the words that a code table has for its values; the base's tables, so that a version makes no difference."""
    rules = _rules()
    own: EntityRules | EachRule = rules.entities[entity]
    if repeat:
        own = own.each[repeat]
    coded = [(name, rule.codes) for name, rule in own.fields.items()] + [(rule.source, rule.codes) for rule in own.derived.values()]
    found: dict[str, dict[str, str]] = {}
    for name, table in coded:
        words = _words(rules.codes.get(table or "", {}))
        if words:
            found.setdefault(name, words)
    return found


def _words(codes: Mapping[str, str]) -> dict[str, str]:
    return {value: code.partition("|")[2] for value, code in codes.items() if "|" in code}


def _with_labels(table: pa.Table, labels: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """The table with `<field>_label` behind each field whose values have words; a value without any has a null there."""
    for name in (field for field in labels if field in table.column_names):
        words = [None if value is None else labels[name].get(str(value)) for value in table[name].to_pylist()]
        table = table.add_column(table.column_names.index(name) + 1, f"{name}_label", pa.array(words, pa.string()))
    return table
