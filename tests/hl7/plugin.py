"""HL7's own software as fixtures: a strict HAPI server and the instance validator, built with Maven, which elsewhere skip with a reason.

Where FHIR_TRIAL_CI is set, what is marked as needing more than Python must run: a skip is a failure there.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fhir_trial.fhir.json import decode, encode
from fhir_trial.mapping.extensions import definitions

HERE = Path(__file__).resolve().parent
MUST_RUN = ("examples", "hapi", "validator", "notebook", "wheel", "spark")
JAVA = ("java", "-Xmx1500m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8")
LONG_RUNNING = ("-XX:TieredStopAtLevel=4", "-Xmx4g")
"""What runs for an hour is worth compiling well."""

Resource = dict[str, Any]
Issue = dict[str, str]
Validate = Callable[[Iterable[Resource]], list[Issue]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.skipped and os.environ.get("FHIR_TRIAL_CI") and any(item.get_closest_marker(name) for name in MUST_RUN):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and must run here: {report.longrepr}"
    return report


def built(project: str) -> Path:
    """The folder of a Maven project whose jars are up to date."""
    if missing := [program for program in ("java", "mvn") if shutil.which(program) is None]:
        pytest.skip(f"{' and '.join(missing)} not found")
    folder = HERE / project
    jar = folder / "target" / f"{project}-1.jar"
    sources = [path for path in (folder / "pom.xml", *(folder / "src").rglob("*")) if path.is_file()]
    if not jar.exists() or jar.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        made = subprocess.run(["mvn", "-B", "-q", "package"], cwd=folder, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout[-3000:]
    return folder


@contextmanager
def written(resources: Iterable[Resource]) -> Iterator[list[Path]]:
    """The resources as files of a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, resource in enumerate(resources):
            path = Path(folder) / f"{number}-{resource['resourceType']}.json"
            path.write_bytes(encode(resource))
            paths.append(path)
        yield paths


@contextmanager
def running(project: str, main: list[str], *options: str) -> Iterator[subprocess.Popen[str]]:
    """A Java program of `project`, ended with the block."""
    folder = built(project)
    command = [*JAVA, *options, "-cp", f"target/{project}-1.jar:target/lib/*", *main]
    with (folder / "target" / f"{'-'.join(main[:2])}.log").open("w") as log:
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=log, text=True, encoding="utf-8") as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture(scope="session")
def hapi_server() -> Iterator[Callable[[str], str]]:
    """The base URL of a HAPI server of a version, which refuses what HL7's validator calls an error and knows our definitions."""
    urls: dict[str, str] = {}
    with ExitStack() as stack:

        def start(version: str) -> str:
            if version not in urls:
                paths = stack.enter_context(written(definitions(version)))
                options = ("-Dtrial.validate=true", f"-Dtrial.definitions={paths[0].parent}")
                process = stack.enter_context(running("hapi-server", ["trial.HapiServer", version, "0", "mem"], *options))
                assert process.stdout is not None
                ready = next((line for line in process.stdout if line.startswith("READY ")), None)
                assert ready, "the HAPI server ended before it was ready; see its log in hapi-server/target"
                urls[version] = ready.split()[1]
            return urls[version]

        yield start


@pytest.fixture(scope="session")
def hl7_validator() -> Iterator[Callable[..., Validate]]:
    """HL7's validator of a version: from resources to what it says of them, each with the resource's place.

    It knows our definitions, and those of a guide (NDJSON) where one is named.
    """
    validators: dict[tuple[str, Path | None], Validate] = {}
    with ExitStack() as stack:

        def start(version: str, guide: Path | None = None) -> Validate:
            if (version, guide) not in validators:
                of_guide = [decode(line) for line in guide.read_bytes().splitlines()] if guide else []
                known = stack.enter_context(written([*definitions(version), *of_guide]))
                main = ["trial.Validate", version, str(known[0].parent)]
                validators[version, guide] = asking(stack.enter_context(running("hapi-validator", main)))
            return validators[version, guide]

        yield start


def asking(process: subprocess.Popen[str]) -> Validate:
    def validate(resources: Iterable[Resource]) -> list[Issue]:
        listed = list(resources)
        assert process.stdin is not None
        assert process.stdout is not None
        with written(listed) as paths:
            process.stdin.writelines(f"{path}\n" for path in paths)
            process.stdin.flush()
            answers = [json.loads(line) for _, line in zip(listed, process.stdout, strict=False)]
        assert len(answers) == len(listed), "the validator ended before it had answered; see its log in hapi-validator/target"
        return [{"file": Path(answer["file"]).name, **issue} for answer in answers for issue in answer["issues"]]

    return validate
