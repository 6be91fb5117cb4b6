"""The folder of a trial's endpoints: the tables and figures, and beside them what they were derived from."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import msgspec

from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import Results
from fhir_trial.endpoints.outputs import files, findings_table
from fhir_trial.errors import Finding, Findings
from fhir_trial.fhir.json import decode, encode
from fhir_trial.trial.digest import data_digest

LOCK = "lock.json"
"""The file in which the results of a folder are frozen."""

FINDINGS = "findings.csv"
"""The file of everything that was noticed. It quotes the data and is no result: no lock holds it."""

INPUTS = "inputs.json"
"""The file that says what the others of its folder were derived from."""

SCHEMA = 1
"""The version of that file's shape."""

SOFTWARE = ("fhir_trial", "numpy", "pandas", "pyarrow", "scipy")
"""The packages that figures rest on."""


@dataclass(frozen=True)
class Source:
    """Where data were read from, as `read_source` was asked for it, and by which factors subgroups were asked for."""

    folder: Path
    study: str | None = None
    fhir: str | None = None
    domains: Mapping[str, str] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()


def write_endpoints(folder: Path, results: Results, data: TrialData, source: Source | None = None) -> dict[str, str]:
    """Write every file of `results` into `folder`, `FINDINGS` and `INPUTS`; give back the texts of the results by file name.

    `InputError`, and nothing is written, where the folder holds a lock of other results.
    """
    texts = files(results)
    if not _is_free(folder / LOCK, texts):
        refuse_locked([folder / LOCK])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    noticed = findings_table([*data.findings, *results.findings], results.synthetic)
    (folder / FINDINGS).write_text(noticed, encoding="utf-8", newline="\n")
    (folder / INPUTS).write_bytes(pretty(inputs(texts, data, _told(source, folder))))
    return texts


def _is_free(path: Path, texts: Mapping[str, str]) -> bool:
    """Whether there is no lock, or one of these very results."""
    if not path.is_file():
        return True
    locked = decode(path.read_bytes(), str(path))
    held = locked.get("files") if isinstance(locked, dict) else None
    return isinstance(held, dict) and held.keys() == texts.keys() and all(held[n].get("sha256") == text_digest(t) for n, t in texts.items())


def refuse_locked(locks: Iterable[Path]) -> None:
    """`InputError` where there are locks that what is about to be written would not be the results of."""
    effect = "it stays as it is: other results, or those at another cutoff, belong into a folder of their own (endpoints --out)"
    findings = Findings(Finding("already-locked", str(path), expected="no lock of other results", effect=effect) for path in locks)
    findings.raise_errors()


def inputs(texts: Mapping[str, str], data: TrialData, source: Mapping[str, Any] | None) -> dict[str, Any]:
    """What `INPUTS` says: the study, the data's digest, the software, and the digest of each file."""
    return {
        "schema": SCHEMA,
        "study": {"id": data.study.id, "sha256": sha256(encode(msgspec.to_builtins(data.study))).hexdigest()},
        "synthetic": data.synthetic,
        "snapshot": {
            "sha256": data_digest(data),
            "rows": {n: data.table(n).num_rows for n in sorted(data.tables) if data.table(n).num_rows},
        },
        "versions": {name: package_version(name) for name in SOFTWARE},
        "files": {name: text_digest(text) for name, text in texts.items()},
        "source": source,
    }


def text_digest(text: str) -> str:
    """The sha256 of a text in UTF-8."""
    return sha256(text.encode()).hexdigest()


def pretty(document: Any) -> bytes:
    """A document as JSON that is read line by line."""
    return msgspec.json.format(encode(document), indent=1) + b"\n"


def _told(source: Source | None, folder: Path) -> dict[str, Any] | None:
    """The source with paths as they lie from `folder`, so that the two can be moved together; None where no path leads there."""
    if source is None:
        return None
    try:
        study = source.study
        if study is not None and Path(study).is_file():
            study = _path_from(folder, Path(study))
        told = {"folder": _path_from(folder, source.folder), "study": study, "fhir": source.fhir, "domains": dict(source.domains)}
        return told | {"by": list(source.by), "strata": list(source.strata)}
    except ValueError:  # another drive
        return None


def _path_from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def found_source(folder: Path, told: Mapping[str, Any]) -> Source:
    """The source that the `INPUTS` of `folder` tell of."""
    study = told["study"]
    if study is not None and (folder / study).is_file():
        study = str(folder / study)
    return Source((folder / told["folder"]).resolve(), study, told["fhir"], told["domains"], tuple(told["by"]), tuple(told["strata"]))


def read_inputs(folder: Path) -> Any:
    """What the `INPUTS` of a folder say, None where it has none; `InputError` where they are no JSON."""
    path = folder / INPUTS
    return decode(path.read_bytes(), INPUTS) if path.is_file() else None
