"""Worker processes give the rows and findings of one process, in its order; what goes wrong in one is said and leaves nothing behind."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fhir_trial.errors import FhirTrialError, Finding, Findings, InputError, UsageError
from fhir_trial.frames import ViewRunner, crew, run_view, worker
from fhir_trial.frames.messages import Recipe, Task, receive, send
from fhir_trial.frames.reading import Lines

VIEW = {
    "resource": "Patient",
    "select": [
        {"column": [{"name": "id", "path": "id"}, {"name": "n", "path": "multipleBirth.ofType(integer)"}]},
        {"forEachOrNull": "name", "column": [{"name": "given", "path": "given", "collection": True}]},
    ],
}


def patient(number: int) -> bytes:
    names = [{"given": [f"g{number}", "x"]}] * (number % 3)
    return json.dumps({"resourceType": "Patient", "id": f"p{number}", "multipleBirthInteger": number, "name": names}).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lines, packed lines, a Bundle and damage, in chunks of some lines each."""
    folder = tmp_path_factory.mktemp("source")
    lines = [patient(number) for number in range(300)]
    lines[7], lines[150], lines[299] = b"no json", b'{"resourceType":"Patient","id":7}', b'{"resourceType":"Pat'
    (folder / "a.ndjson").write_bytes(b"\n".join(lines))
    (folder / "b.ndjson.gz").write_bytes(gzip.compress(b"\r\n".join(patient(number) for number in range(300, 400))))
    entries = [{"resource": json.loads(patient(number))} for number in range(400, 420)] + [{"resource": {"id": "nothing"}}]
    (folder / "c.json").write_text(json.dumps({"resourceType": "Bundle", "entry": entries}, indent=1))
    (folder / "d.ndjson").write_bytes(b'{"resourceType":"Patient","subject":1}\n' + b"\n".join(lines[:5]))
    return folder


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are asked from the first chunk on, and chunks are small."""
    monkeypatch.setattr(crew, "ALONE_BYTES", 0)
    monkeypatch.setattr("fhir_trial.fhir.ndjson.CHUNK_BYTES", 1500)
    monkeypatch.setattr(crew._Crew, "is_ready", lambda self: all(start.result() is None for start in self._starts))


def ran(source: Any, workers: int, lineage: bool = False) -> tuple[pa.Table, list[Finding]]:
    findings = Findings()
    return run_view(VIEW, source, bad="skip", findings=findings, workers=workers, lineage=lineage), list(findings)


@pytest.mark.usefixtures("eager")
def test_rows_and_findings_are_those_of_one_process_in_its_order(folder: Path) -> None:
    with pytest.raises(InputError) as refused:
        run_view(VIEW, folder)
    mixed = [folder, {"resourceType": "Patient", "id": "decoded"}, folder / "b.ndjson.gz"]
    alone, said = ran(mixed, 1, lineage=True)
    together, said_together = ran(mixed, 2, lineage=True)
    assert alone.num_rows > 400
    assert together.equals(alone)
    assert said_together == said
    assert refused.value.findings == [finding for finding in said if finding.severity == "error"]
    assert [(finding.code, finding.place, finding.row) for finding in said] == [
        ("not-json", "a.ndjson", 8),
        ("unexpected-shape", "a.ndjson", 151),
        ("truncated", "a.ndjson", 300),
        ("not-a-resource", "c.json entry", 21),
        ("unknown-elements", "d.ndjson", 1),
    ]


def test_a_small_source_starts_no_worker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_Crew", None)
    assert ran(folder, 8) == ran(folder, 1)


@pytest.mark.parametrize("workers", [0, -1, 1.5, "all"])
def test_workers_are_a_number(workers: Any) -> None:
    with pytest.raises(UsageError, match="workers"):
        run_view(VIEW, b"", workers=workers)


def test_a_system_without_wide_pipes_gives_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def popen(*_: Any, pipesize: int, **__: Any) -> str:
        asked.append(pipesize)
        if pipesize > 0:
            raise PermissionError
        return "a process"

    monkeypatch.setattr(crew.subprocess, "Popen", popen)
    assert crew._Worker()._process == "a process"
    assert asked == [1 << 20, -1]


@pytest.mark.usefixtures("eager")
def test_a_run_that_is_given_up_leaves_no_process_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    start = crew._Worker.__init__
    monkeypatch.setattr(crew._Worker, "__init__", lambda self: (start(self), started.append(self))[0])
    batches = ViewRunner(VIEW).batches(folder, workers=2)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert len(started) == 2
    assert all(each._process.returncode is not None for each in started)


def test_workers_that_cannot_be_started_are_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "ALONE_BYTES", 0)
    monkeypatch.setattr("fhir_trial.fhir.ndjson.CHUNK_BYTES", 1500)
    monkeypatch.setattr(crew._Crew, "is_ready", _ready_after_starts(crew._Crew.is_ready))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FhirTrialError, match="could not be started"):
        ran(folder, 2)


def _ready_after_starts(is_ready: Any) -> Any:
    def ready(self: Any) -> bool:
        for start in self._starts:
            start.exception()
        return bool(is_ready(self))

    return ready


DIES = """
import sys
from fhir_trial.frames.messages import Answer, receive, send

pytestmark = pytest.mark.thorough
receive(sys.stdin.buffer)
send(sys.stdout.buffer, Answer([]))
receive(sys.stdin.buffer)
"""


@pytest.mark.usefixtures("eager")
def test_a_worker_that_dies_ends_the_run_with_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    popen = subprocess.Popen
    monkeypatch.setattr(crew.subprocess, "Popen", lambda command, **pipes: popen([sys.executable, "-c", DIES], **pipes))
    with pytest.raises(FhirTrialError, match="ended before its work was done"):
        ran(folder, 2)


class _Failing:
    schema = pa.schema([])

    def parts(self, piece: Any) -> Iterator[Any]:
        raise MemoryError("subject 001")


def test_a_worker_that_fails_tells_the_kind_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, answers = BytesIO(), BytesIO()
    send(tasks, Recipe(json.dumps(VIEW).encode(), "r4", False))
    send(tasks, Task.of(Lines("a.ndjson", 1, b"")), [b"{}\n"])
    monkeypatch.setattr(worker, "ViewRunner", lambda *_, **__: _Failing())
    tasks.seek(0)
    worker.serve(tasks, answers)
    answers.seek(0)
    ready, failed = receive(answers), receive(answers)
    assert ready is not None
    assert failed is not None
    assert b"MemoryError" in failed[0]
    assert b"subject" not in failed[0]
    assert receive(answers) is None


@pytest.mark.thorough
def test_an_unguarded_script_may_use_workers(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    lines = [
        "from fhir_trial.frames import crew, run_view",
        "from fhir_trial.fhir import ndjson",
        "crew.ALONE_BYTES, ndjson.CHUNK_BYTES = 0, 1500",
        "crew._Crew.is_ready = lambda self: all(start.result() is None for start in self._starts)",
        f"print(run_view({VIEW!r}, {str(folder / 'b.ndjson.gz')!r}, workers=2).num_rows)",
    ]
    script.write_text("\n".join(lines))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(ran(folder / "b.ndjson.gz", 1)[0].num_rows), "")
