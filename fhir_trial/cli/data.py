"""Commands on files: to and from FHIR, validation, views, endpoints."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fhir_trial.cli.output import BANNER, finding_row, say, say_findings, show, show_counts, show_json
from fhir_trial.cli.places import folder_to_write
from fhir_trial.endpoints.analyse import analyse, with_subgroups
from fhir_trial.endpoints.outputs import summary
from fhir_trial.errors import Findings, UsageError
from fhir_trial.fhir.files import fhir_files
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.sources.conventions_file import chosen_conventions
from fhir_trial.sources.sdtm.unwritten import unwritten
from fhir_trial.sources.sdtm.write import write_sdtm
from fhir_trial.sync.folder import MANIFEST, NOT_RESOURCES, read_manifest, write_folder
from fhir_trial.trial.apart import by_type
from fhir_trial.trial.derived import FINDINGS, Source, write_endpoints
from fhir_trial.trial.folder_reading import is_fhir_folder
from fhir_trial.trial.opened import read_source
from fhir_trial.trial.resources import losses, to_resources
from fhir_trial.validate import validate_files


class OnError(StrEnum):
    """What becomes of a run whose data have errors."""

    keep = "keep"
    refuse = "refuse"


class Form(StrEnum):
    """A format of SDTM files."""

    csv = "csv"
    parquet = "parquet"
    xpt = "xpt"
    dataset_json = "dataset-json"
    dataset_ndjson = "dataset-ndjson"


Study = Annotated[str | None, typer.Option("--study", help="Study definition: a file, or the id of one that is shipped.")]
Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]
Domains = Annotated[list[str] | None, typer.Option("--domain", help="A domain's file where its name differs: rs=FILE.")]
Version = Annotated[str | None, typer.Option("--fhir", help="FHIR version, r4 or r5; else the folder's manifest says it.")]
OnErrorOption = Annotated[OnError, typer.Option("--on-error", help="Bad rows: keep the good ones, or refuse the run.")]


def pairs(options: list[str] | None, name: str) -> dict[str, str]:
    """`key=value` options as a dict."""
    pairs = {}
    for option in options or []:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise UsageError(f"--{name} {option}: expected {'NAME=VALUE' if name == 'set' else 'DOMAIN=FILE'}")
        pairs[key.strip()] = value.strip()
    return pairs


def to_fhir(
    source: Annotated[Path, typer.Argument(help="Folder of SDTM domains.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Folder for <ResourceType>.ndjson, manifest.json and loss.json.")],
    study: Study = None,
    fhir: Annotated[str, typer.Option("--fhir", help="FHIR version: r4 or r5.")] = DEFAULT,
    domain: Domains = None,
    on_error: OnErrorOption = OnError.keep,
    as_json: Json = False,
) -> int:
    """Write trial data as FHIR; 1 when there are errors in the data or rows that FHIR could not hold."""
    data = read_source(source, study, domains=pairs(domain, "domain"), on_error=on_error.value)
    unwritten = Findings()
    resources = by_type(to_resources(data, fhir, unwritten))
    if on_error is OnError.refuse:
        unwritten.raise_errors()
    manifest = write_folder(out, resources, fhir, data.study.id)
    (out / "loss.json").touch(mode=0o600)
    (out / "loss.json").write_text(json.dumps(losses(data, fhir, unwritten), indent=2) + "\n", encoding="utf-8")
    findings = [*data.findings, *unwritten]
    counts = {entry.type: entry.count for entry in manifest.files}
    if as_json:
        show_json({"counts": counts, "synthetic": data.synthetic, "findings": [finding_row(f) for f in findings]})
    else:
        show_counts(f"{out}", counts)
        say_findings(findings)
    return 1 if any(f.severity == "error" for f in findings) else 0


def from_fhir(
    folder: Annotated[Path, typer.Argument(help="Folder of FHIR: NDJSON, Bundles, resources; gzip too.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Folder for the SDTM files.")],
    study: Study = None,
    fhir: Version = None,
    form: Annotated[Form, typer.Option("--format", help="Format of the files.")] = Form.csv,
    as_json: Json = False,
) -> int:
    """Write FHIR back as trial tables in SDTM; 1 when something could not be read."""
    if folder.is_dir() and not is_fhir_folder(folder):
        raise UsageError(f"{folder} holds no FHIR: expected files in .ndjson or .json (gzip too), in the folder itself, and no DM of SDTM")
    data = read_source(folder, study, fhir)
    written = write_sdtm(data, out, form.value)
    data.findings.extend(unwritten(data))
    counts = {path.stem: rows for path, rows in written.items()}
    if as_json:
        show_json(
            {
                "files": [str(path) for path in written],
                "counts": counts,
                "synthetic": data.synthetic,
                "findings": [finding_row(f) for f in data.findings],
            }
        )
    else:
        show_counts(f"{out}", counts)
        say_findings(data.findings)
    return 1 if data.findings.errors() else 0


def validate(
    paths: Annotated[list[Path], typer.Argument(help="Files (.json, .ndjson; gzip too) or folders.")],
    fhir: Annotated[str | None, typer.Option("--fhir", help="FHIR version, r4 or r5; else what a folder's manifest says, else r4.")] = None,
    as_json: Json = False,
) -> int:
    """Check resources against HL7's definitions; 1 when there is an error."""
    findings = list(validate_files(_resource_files(paths), version_of(paths, fhir)))
    if as_json:
        show_json([finding_row(f) for f in findings])
    else:
        say_findings(findings, limit=200)
        show_counts("findings", Findings(findings).counts() or {"none": 0})
    return 1 if any(f.severity == "error" for f in findings) else 0


def version_of(paths: list[Path], asked: str | None) -> str:
    """The version asked for, else the one that all manifests of the folders name, else the default."""
    if asked is not None:
        return asked
    stated = {manifest.fhir for path in paths if path.is_dir() and (manifest := read_manifest(path)) is not None}
    if len(stated) > 1:
        raise UsageError(f"the folders are of several FHIR versions ({', '.join(sorted(stated))}): give --fhir, or one at a time")
    return stated.pop() if stated else DEFAULT


def _resource_files(paths: list[Path]) -> list[Path]:
    """The paths, a folder that has our manifest as its files without the manifest and the loss report."""
    found = []
    for path in paths:
        ours = path.is_dir() and (path / MANIFEST).is_file()
        found += [file for file in fhir_files(path) if file.name not in NOT_RESOURCES] if ours else [path]
    return found


def endpoints(
    source: Annotated[Path, typer.Argument(help="Folder of SDTM domains, or of FHIR NDJSON.")],
    out: Annotated[
        Path, typer.Option(callback=folder_to_write, help="Folder for adsl, adrs, adtte, safety, exposure, summary.json and findings.csv.")
    ],
    study: Study = None,
    conventions: Annotated[str | None, typer.Option(help="A preset (protocol, fda-2018, ema, admiralonco) or a file.")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A convention that departs: name=value.")] = None,
    by: Annotated[list[str] | None, typer.Option("--by", help="Subgroups by a column (sex, ecog) or a cut number (age:65).")] = None,
    strata: Annotated[list[str] | None, typer.Option("--strata", help="Stratify the subgroups' comparisons by a column.")] = None,
    fhir: Version = None,
    domain: Domains = None,
    on_error: OnErrorOption = OnError.keep,
    as_json: Json = False,
) -> int:
    """Derive the endpoints of a trial; 1 when the data have errors."""
    if strata and not by:
        raise UsageError(f"--strata {', '.join(strata)} stratifies the comparisons of subgroups: give --by too")
    data = read_source(source, study, fhir, pairs(domain, "domain"), on_error.value)
    results = with_subgroups(analyse(data, chosen_conventions(data.study, conventions, pairs(setting, "set"))), by or (), strata or ())
    if on_error is OnError.refuse:
        results.findings.raise_errors()
    write_endpoints(out, results, data, Source(source, study, fhir, pairs(domain, "domain"), tuple(by or ()), tuple(strata or ())))
    findings = [*data.findings, *results.findings]
    if as_json:
        show_json(summary(results) | {"findings": [finding_row(f) for f in findings]})
    else:
        say_findings(findings, every=f"all are in {out / FINDINGS}")
        say(f"conventions: {results.conventions.describe()}")
        if data.synthetic:
            say(BANNER)
        show(str(out))
    return 1 if any(f.severity == "error" for f in findings) else 0
