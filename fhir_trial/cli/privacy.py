"""Commands that guard people: de-identification, removal of what is stored, and the audit log."""

from pathlib import Path
from typing import Annotated

import typer

from fhir_trial import config
from fhir_trial.cli.output import BANNER, finding_row, say, say_findings, show, show_json
from fhir_trial.cli.places import folder_to_write
from fhir_trial.errors import ConfigurationError, UsageError
from fhir_trial.privacy.audit import START, AuditLog
from fhir_trial.privacy.deidentify import MOST_DAYS
from fhir_trial.privacy.deidentify import deidentify as without_identifiers
from fhir_trial.privacy.pseudonyms import Pseudonyms
from fhir_trial.sync.folder import folder_version
from fhir_trial.trial.deidentified import REPORT, write_deidentified
from fhir_trial.trial.digest import data_digest
from fhir_trial.trial.folder_reading import is_fhir_folder
from fhir_trial.trial.opened import read_source
from fhir_trial.trial.purge import purge as remove
from fhir_trial.trial.purge import stored

Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]

audit = typer.Typer(help="The audit log of a folder of data.", no_args_is_help=True)
Log = Annotated[Path, typer.Argument(help="A folder of data, or an audit log.")]


def deidentify(
    source: Annotated[Path, typer.Argument(help="Folder of SDTM domains, or of FHIR NDJSON.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="A new folder for the data in the same form, and the report.")],
    key: Annotated[
        str | None, typer.Option(help="Where the key of pseudonyms stands (env:NAME, file:PATH); else one that nobody keeps.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="By how many days at most a subject's dates are moved back.")] = MOST_DAYS,
    keep: Annotated[list[str] | None, typer.Option(help="A free-text field to let through: adverse_event.term")] = None,
    study: Annotated[str | None, typer.Option("--study", help="Study definition: a file, or an id.")] = None,
    fhir: Annotated[str | None, typer.Option("--fhir", help="FHIR version, r4 or r5; else the folder's manifest says it.")] = None,
    as_json: Json = False,
) -> int:
    """Write data that can be shared: pseudonyms, dates moved by subject, no free text, ages over 89 as one; 1 when rows were lost."""
    pseudonyms = Pseudonyms(config.Secret.parse(key).reveal().encode()) if key else Pseudonyms.of_nobody()
    data = read_source(source, study, fhir)
    version = folder_version(source, fhir) if is_fhir_folder(source) else None
    made, report = without_identifiers(data, pseudonyms, days, keep or ())
    findings = write_deidentified(made, report, out, version)
    AuditLog.of_folder(out).record("deidentify", key=report.key, from_digest=data_digest(data), to_digest=data_digest(made))
    lost = [*data.findings.errors(), *findings.errors()]
    if as_json:
        show_json(report.to_json() | {"findings": [finding_row(f) for f in findings]})
    else:
        say_findings([*lost, *findings])
        say(f"what was done: {out / REPORT}; it is for a person to judge whether the data may be shared")
        if made.synthetic:
            say(BANNER)
        show(str(out))
    return 1 if lost else 0


def purge(
    folder: Annotated[Path, typer.Argument(help="A folder of data that fhir-trial wrote.")],
    apply: Annotated[bool, typer.Option("--apply", help="Remove it; without this, only say what would go.")] = False,
    as_json: Json = False,
) -> int:
    """Remove what was stored in a folder: resources, journals, stores. The audit log stays, and says so; files of others stay."""
    found = stored(folder)
    if apply:
        with AuditLog.of_folder(folder).doing("purge", files=len(found.ours)):
            remove(found)
    ours, others = [[str(path.relative_to(folder)) for path in paths] for paths in (found.ours, found.others)]
    if as_json:
        show_json({"removed" if apply else "would go": ours, "left": others})
    else:
        show("\n".join(f"{'removed' if apply else 'would go'}: {name}" for name in ours) or "nothing of ours is stored here")
        say("\n".join(f"left, since it is not ours: {name}" for name in others))
    return 0


@audit.command("verify")
def audit_verify(
    log: Log,
    head: Annotated[str | None, typer.Option(help="A head that was noted before and must still be in the chain.")] = None,
    as_json: Json = False,
) -> int:
    """Check the chain of an audit log, and show its head to be noted elsewhere; 1 when it is broken."""
    opened = _log(log)
    findings, entries = opened.verify(head), opened.entries()
    now = entries[-1].hash if entries else START
    if as_json:
        show_json({"entries": len(entries), "head": now, "findings": [finding_row(f) for f in findings]})
    else:
        show(f"entries: {len(entries)}\nhead: {now}\nchain: {'broken' if findings else 'whole'}")
        say_findings(findings)
    return 1 if findings else 0


@audit.command("show")
def audit_show(log: Log, as_json: Json = False) -> int:
    """Show what was done, oldest first."""
    entries = _log(log).entries()
    if as_json:
        show_json([{name: getattr(entry, name) for name in entry.__slots__} for entry in entries])
    else:
        show("\n".join(f"{e.number} {e.at} {e.who}: {e.what} {e.details}" for e in entries) or "no entries")
    return 0


def _log(path: Path) -> AuditLog:
    """The log of a folder, or the one that a path names."""
    opened = AuditLog.of_folder(path) if path.is_dir() else AuditLog(path)
    if not opened.path.exists():
        raise UsageError(f"{opened.path}: no audit log is there")
    if path.is_file() and not path.stat().st_size:
        raise ConfigurationError(f"{path} is no audit log: it is empty")
    return opened
