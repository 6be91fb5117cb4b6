"""The study's own code tables, applied to the data before anything is read; what a table lacks is listed and counted, and kept."""

from collections import Counter
from collections.abc import Mapping

from fhir_trial.domain.study import CodeTable
from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.rows import Reading


def recode(domains: Mapping[str, RawDomain], tables: tuple[CodeTable, ...], reading: Reading) -> None:
    """Put the values that the tables give into each domain that has their variable; of other variables only where they are blank."""
    for table in tables:
        for raw in domains.values():
            if raw.has(table.variable):
                _apply(raw, table, reading)


def _apply(raw: RawDomain, table: CodeTable, reading: Reading) -> None:
    keys = [None if text is None else text.upper() for text in raw.column(table.variable)]
    targets = {name for values in table.values.values() for name in values}
    for target in targets:
        held = raw.column(target)
        replaces = target == table.variable
        raw.cells[target] = [
            text if key is None or (text is not None and not replaces) else table.values.get(key, {}).get(target, text)
            for key, text in zip(keys, held, strict=True)
        ]
    known = table.values.keys() | {values[table.variable].upper() for values in table.values.values() if table.variable in values}
    unmapped = Counter(key for key in keys if key is not None and key not in known)
    if unmapped:
        found = ", ".join(f"{count} rows of {key}" for key, count in unmapped.most_common())
        expected, effect = "a text that the study's table has", "kept as recorded"
        reading.report("unmapped-code", raw, field=table.variable, found=found, expected=expected, severity="warning", effect=effect)
