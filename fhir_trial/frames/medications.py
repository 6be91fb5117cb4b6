"""All medication of a source in one table, whichever resources tell of it and however they name the drug.

Concomitant medication is ordered, stated, handed out or given, and records differ in which of these they keep: all four are asked.
"""

from collections.abc import Iterator
from typing import Any, Unpack

import pyarrow as pa
import pyarrow.compute as pc

from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.frames.run import RunOptions, run_view

KINDS = {
    "administration": ("medication-administration", ("start",)),
    "request": ("medication-request", ("ordered_on",)),
    "statement": ("medication-statement", ("start", "stated_on")),
    "dispense": ("medication-dispense", ("handed_over_on", "prepared_on")),
}
"""The shipped view of each kind of record, and the columns of its date: the first that is known."""
DRUG = ("medication_system", "medication_code", "medication_label", "medication_text", "rxnorm", "atc")
COMMON = (
    "resource_id",
    "status",
    "subject_key",
    "medication_key",
    *DRUG,
    "dose",
    "dose_unit",
    "dose_ucum",
    "route",
    "route_label",
    "instruction",
)
"""What all kinds have, beside `kind` and the date `on`."""


def medications(source: Any, fhir: str = DEFAULT, **options: Unpack[RunOptions]) -> pa.Table:
    """One row a dosage of every MedicationAdministration, -Request, -Statement and -Dispense of a source: `kind`, `on` and `COMMON`.

    A drug that is a reference to a Medication of the source is filled in from there. `source` and options are those of `run_view`.
    """
    held = list(source) if isinstance(source, Iterator) else source  # it is read once a view
    drugs = run_view("medication", held, fhir, **options)
    found = [_of_kind(kind, run_view(view, held, fhir, **options), on) for kind, (view, on) in KINDS.items()]
    return _filled(pa.concat_tables(found), drugs)


def _of_kind(kind: str, table: pa.Table, on: tuple[str, ...]) -> pa.Table:
    first = {"kind": pa.array([kind] * table.num_rows, pa.string()), "on": pc.coalesce(*(table[name] for name in on))}
    return pa.table(first | {name: table[name] for name in table.column_names if name in COMMON or name.startswith("_")})


def _filled(table: pa.Table, drugs: pa.Table) -> pa.Table:
    """The table with the drug's columns of the Medication that a row refers to, where it names none itself."""
    place = pc.index_in(table["medication_key"], drugs["resource_id"].combine_chunks())
    place = pc.if_else(pc.is_null(table["medication_key"]), None, place)
    for name in DRUG:
        theirs = drugs[name if name in drugs.column_names else "medication"].take(place)
        table = table.set_column(table.column_names.index(name), name, pc.coalesce(table[name], theirs))
    return table
