"""What the rows of TU, TR and RS have in common: who read them, at which visit, and repeats."""

from collections import Counter
from collections.abc import Iterable

from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import Layout
from fhir_trial.sources.sdtm.rows import Reading, Record, records
from fhir_trial.sources.sdtm.values import format_decimal

INVESTIGATOR = "INVESTIGATOR"
"""Who read it where --EVAL is blank: SDTM leaves the investigator out."""


def tumour_records(raw: RawDomain, layout: Layout, reading: Reading) -> list[Record]:
    """The good rows, each with its study, an evaluator, and a visit: its name, else its number, else the date."""
    rows = records(raw, layout, reading)
    unread = [record for record in rows if record["evaluator"] is None]
    for record in unread:
        record["evaluator"] = INVESTIGATOR
    if unread:
        variable = layout.column("evaluator").variable
        reading.report(
            "no-evaluator", raw, unread[0]["row"], variable, found=f"{len(unread)} rows", expected="an evaluator",
            severity="information", effect=f"taken as {INVESTIGATOR}",
        )  # fmt: skip
    for record in rows:
        record["study"] = reading.study
        # a term of CDISC's code list: one reader, in whatever case TU, TR and RS write it
        record["evaluator"] = record["evaluator"].upper()
        if record["visit"] is None:
            number = record["visit_number"]
            record["visit"] = format_decimal(number) if number is not None else record["on"] and record["on"][:10]
    return rows


def in_order(rows: Iterable[Record]) -> list[Record]:
    """Rows by their sequence number, those without one last, in the order of the file."""
    return sorted(rows, key=lambda record: (record["sequence"] is None, record["sequence"] or 0, record["row"]))


def numbered(rows: list[Record], fields: tuple[str, ...], raw: RawDomain, layout: Layout, reading: Reading) -> list[Record]:
    """The rows with their ordinal within a repeated key, by sequence; each repeat is a finding and kept."""
    seen: Counter[tuple[object, ...]] = Counter()
    for record in in_order(rows):
        key = tuple(record[name] for name in fields)
        seen[key] += 1
        record["ordinal"] = seen[key]
        if seen[key] > 1:
            report_repeat(record, raw, layout, reading)
    return rows


def report_repeat(record: Record, raw: RawDomain, layout: Layout, reading: Reading) -> None:
    """The finding of a row whose key an earlier row has."""
    variable = layout.column("test").variable
    found = " ".join(str(record[name]) for name in ("lesion", "test", "visit") if record.get(name) is not None)
    reading.report(
        "repeated-key", raw, record["row"], variable, found=found, expected="one row a test, visit and evaluator", severity="warning",
        effect=f"kept as number {record['ordinal']}",
    )  # fmt: skip
