"""HL7's examples read and written again: how many become rows, what is found, and why what is written differs.

python tests/hl7/examples.py FOLDER    prints the table, from packages that `npm pack` wrote and `tar` unpacked there
"""

import csv
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhir_trial.errors import Finding, Findings
from fhir_trial.fhir.json import decode
from fhir_trial.mapping import load
from fhir_trial.mapping.foreign import read_foreign

PACKAGES = (
    ("hl7.fhir.r4.examples", "4.0.1", "r4", "package"),
    ("hl7.fhir.r5.examples", "5.0.0", "r5", "package"),
    ("hl7.fhir.us.mcode", "4.0.0", "r4", "package/example"),
)
TABLE = Path(__file__).with_name("examples.csv")
COLUMNS = ("package", "resource", "examples", "rows", "no row", "same", "identity", "narrative", "listed", "found", "otherwise")
OTHER_TYPES = ("MedicationRequest",)
"""Types that no entity is written as, and that are read."""

OTHERWISE = (
    (r"\.contained\.", "a contained resource is a resource of its own"),
    (r"^MedicationRequest\.", "an order is written as the statement that it is read as"),
    (
        r"^Observation\.(component|code|status|category)",
        "an entity has its own code, category and status, and each part of a panel is a row",
    ),
    (
        r"\.(coding\.)?(system|display|userSelected)$",
        "a code's display, and the system that it is recognised by, are written as we know them",
    ),
    (r"\.(unit|code)$", "a code says what its text means, and a unit is written as it is read"),
    (
        r"(effective|occurence|onset|abatement|occurrence)(DateTime|Period\.start|Period\.end|Instant)$",
        "a moment is written as our rules write it",
    ),
    (r"\.text$", "words beside a code that says the same"),
    (
        r"\.actuality$|\.status$|\.active$|\.type$|\.actual$|\.membership$|\.intent$",
        "a constant of the entity, or what the resource is recognised by",
    ),
    (r"^ResearchSubject\.|^ResearchStudy\.", "R5's states and parties stand in items of our own"),
    (r"\.scope\.|^Consent\.", "a consent to research has our category and scope"),
    (r"^Medication(Administration|Statement)\.medication", "a drug is a Medication of its own, or its words"),
    (r"valueCodeableConcept|valueString", "words are written as text"),
    (r"\.name$", "another Medication of the same name has these words"),
)
"""Leaves that are read and written in another form: their path, and why."""


def fetch(name: str, version: str, folder: Path) -> Path:
    """The unpacked package, from npm where it is not there yet."""
    unpacked = folder / f"{name}-{version}"
    if not unpacked.is_dir():
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, capture_output=True, timeout=300)
        unpacked.mkdir()
        subprocess.run(["tar", "xzf", f"{name}-{version}.tgz", "-C", unpacked.name], cwd=folder, check=True, timeout=120)
    return unpacked


def leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every primitive in a resource with its path, positions in lists left out."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, str(value)


def _is_identity(path: str) -> bool:
    top, last = path.split(".")[1:2], path.rpartition(".")[2]
    return top in (["id"], ["meta"], ["identifier"], ["resourceType"], ["implicitRules"], ["language"]) or last == "reference"


def kinds(resource: dict[str, Any], written: list[dict[str, Any]], listed: set[str], found: bool) -> Iterator[tuple[str, str]]:
    """For each leaf, what became of it: (kind, path). An unexplained one is of the kind `unexplained`."""
    again = Counter(leaf for other in written for leaf in leaves(other, other["resourceType"]))
    kind = resource["resourceType"]
    for path, value in leaves(resource, kind):
        parts = path.split(".")
        if again[path, value]:
            again[path, value] -= 1
            yield "same", path
        elif _is_identity(path):
            yield "identity", path
        elif parts[1] == "text":
            yield "narrative", path
        elif any(".".join(parts[:n]) in listed for n in range(2, len(parts) + 1)):
            yield "listed", path
        elif any(re.search(pattern, path) for pattern, _ in OTHERWISE):
            yield "otherwise", path
        elif found:
            yield "found", path
        else:
            yield "unexplained", path


def run(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The table, a row a package and resource type; and what is explained by nothing."""
    table, unexplained = [], []
    for name, version, fhir, inside in PACKAGES:
        mapping = load(fhir)
        types = {mapping[entity].resource_type for entity in mapping} | set(OTHER_TYPES)
        files = sorted((fetch(name, version, folder) / inside).glob("*.json"))
        examples = [r for r in (decode(f.read_bytes()) for f in files if f.name.split("-")[0] in types) if r.get("resourceType") in types]
        findings = Findings()
        rows = read_foreign(examples, "EXAMPLES", findings, fhir)
        written: dict[str, list[dict[str, Any]]] = {}
        for entity, listed in rows.items():
            for found in listed:
                if found.place.split("/")[0] in (mapping[entity].resource_type, *OTHER_TYPES):
                    written.setdefault(found.place, []).append(mapping[entity].to_fhir(found.row))
        for kind in sorted(types):
            counts, lost = _of_type([r for r in examples if r["resourceType"] == kind], written, list(findings))
            table.append({"package": name, "resource": kind} | counts)
            unexplained += [f"{name} {place}" for place in lost]
    return [row for row in table if row["examples"]], unexplained


def _of_type(
    examples: list[dict[str, Any]], written: dict[str, list[dict[str, Any]]], findings: list[Finding]
) -> tuple[dict[str, int], list[str]]:
    """The counts of one resource type, and the places or leaves that nothing explains."""
    counts: Counter[str] = Counter({"examples": len(examples)})
    listed = {f.field for f in findings if f.code == "element-not-read" and f.field}
    lost = []
    for resource in examples:
        place = f"{resource['resourceType']}/{resource['id']}"
        own = [r for at, parts in written.items() if at == place or at.startswith(f"{place}.") for r in parts]
        named = any(f.place == place or f.place.startswith(f"{place}.") for f in findings if f.code != "element-not-read")
        counts["rows"] += len(own)
        if not own:
            counts["no row"] += 1
            lost += [] if named else [place]
            continue
        for kind, path in kinds(resource, own, listed, named):
            counts[kind] += 1
            lost += [f"{place} {path}"] if kind == "unexplained" else []
    return {name: counts[name] for name in COLUMNS[2:]}, lost


def as_text(table: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The table as it is read from its file."""
    return [{name: str(row[name]) for name in COLUMNS} for row in table]


def main() -> int:
    """Print the table, and what nothing explains."""
    table, unexplained = run(Path(sys.argv[1]))
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    sys.stderr.write("".join(f"{place}\n" for place in unexplained))
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
