"""A study with somewhere to read it from: a server, a folder of FHIR, or a folder of SDTM."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhir_trial import config
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import Results, analyse
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.errors import ConfigurationError, Finding, Findings, InputError, UsageError
from fhir_trial.fhir.bundles import resources
from fhir_trial.fhir.json import ambiguities, decode
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.progress import Progress, silent
from fhir_trial.sources.odm_rows import read_odm_data
from fhir_trial.sources.sdtm.read import OnError, read_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.folder import folder_version, read_folder, read_manifest
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.push import Report
from fhir_trial.trial.connection import connect
from fhir_trial.trial.derived import Source
from fhir_trial.trial.exchange import pull_study, push_all
from fhir_trial.trial.publish import result_resources
from fhir_trial.trial.resources import from_resources

NOT_RESOURCES = frozenset({"manifest.json", "loss.json", "deidentification.json"})
"""Files of a folder of FHIR that are no resources."""


def is_fhir_folder(folder: Path) -> bool:
    """Whether a folder holds FHIR (NDJSON as `pull` and `to-fhir` write it, or Bundles in .json), rather than SDTM (which has a DM)."""
    if read_manifest(folder) is not None:
        return True
    return not any(path.stem.lower() == "dm" for path in folder.iterdir()) and (any(folder.glob("*.ndjson")) or any(_bundles(folder)))


def _bundles(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*.json")) if path.name not in NOT_RESOURCES)


def read_resources(folder: Path, findings: Findings) -> Iterator[dict[str, Any]]:
    """Every resource of a folder of FHIR: those of NDJSON files, and of Bundles and single resources in .json files.

    What stands in a .json file and is no resource goes to `findings`; an NDJSON file with such a line is refused with an `InputError`.
    """
    if read_manifest(folder) is not None or any(folder.glob("*.ndjson")):
        yield from read_folder(folder)
    for path in _bundles(folder):
        try:
            data = path.read_bytes()
            document = decode(data, path.name)
            findings.extend(ambiguities(data, document, path.name))
        except InputError as error:
            findings.extend(error.findings)
            continue
        if not _is_resource(document):
            findings.add(Finding("no-resource", path.name, expected="a Bundle or a resource", effect="the file is not read"))
        elif document["resourceType"] != "Bundle":
            yield document
        else:
            yield from filter(_is_resource, resources(_named(document)))
            _report_entries(document, path.name, findings)


def _named(bundle: dict[str, Any]) -> dict[str, Any]:
    """The Bundle with an id for each resource that has none but stands under a `urn:uuid:`, by which others refer to it."""
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        resource, url = (entry.get("resource"), entry.get("fullUrl")) if isinstance(entry, dict) else (None, None)
        if isinstance(resource, dict) and "id" not in resource and isinstance(url, str) and url.startswith("urn:uuid:"):
            resource["id"] = url.removeprefix("urn:uuid:")
    return bundle


def _is_resource(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def _report_entries(document: dict[str, Any], place: str, findings: Findings) -> None:
    """A finding for each entry that is no object or holds no resource where it should: none is passed over in silence."""
    entries = document.get("entry", [])
    if not isinstance(entries, list):
        findings.add(Finding("no-resource", place, field="entry", expected="an array", effect="no entry is read"))
        return
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not ("resource" not in entry or _is_resource(entry["resource"])):
            findings.add(
                Finding("no-resource", place, number, "entry", expected="an entry with a resource", effect="the entry is not read")
            )


def folder_study(folder: Path, asked: str | Path | None) -> StudyDefinition:
    """The study of a folder: the one asked for, else its manifest's; a `UsageError` where neither names one."""
    manifest = read_manifest(folder)
    name = asked or (manifest.study if manifest else None)
    if name is None:
        raise UsageError(f"{folder} does not say its study: give --study FILE or ID")
    return load_study(name)


def read_source(
    folder: Path,
    study: str | Path | None = None,
    fhir: str | None = None,
    domains: dict[str, str] | None = None,
    on_error: OnError = "keep",
) -> TrialData:
    """The trial data of a folder, FHIR or SDTM, or of an ODM-XML file.

    With `on_error` "refuse", an `InputError` with every error instead of the good rows.

    Raises `UsageError` for a folder that is not there or does not say its study or version, `InputError` for one that cannot be used.
    """
    if folder.suffix.lower() == ".xml" and folder.is_file() and study is not None:
        return read_odm_data(folder, load_study(study), on_error)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    definition = folder_study(folder, study)
    if not is_fhir_folder(folder):
        return read_sdtm(folder, definition, on_error, domains)
    unread = Findings()
    data = from_resources(read_resources(folder, unread), definition, folder_version(folder, fhir))
    data.findings.extend(unread)
    if on_error == "refuse":
        data.findings.raise_errors()
    return data


class OpenTrial:
    """A study and its data, read once with `pull` and kept."""

    def __init__(self, study: StudyDefinition, server: config.Server | None, folder: Path | None, fhir: str) -> None:
        """Read nothing yet."""
        self.study, self.server, self.folder, self.fhir = study, server, folder, fhir
        self._data: TrialData | None = None

    def pull(self, progress: Progress = silent) -> TrialData:
        """Read the study's data, from the server or the folder; whatever was read before is replaced."""
        if self.server is not None:
            with connect(self.server, self.fhir) as connection:
                self._data = from_resources(pull_study(self.study.id, connection, progress), self.study, self.fhir)
        elif self.folder is not None:
            fhir = self.fhir if is_fhir_folder(self.folder) else None
            self._data = read_source(self.folder, self.study.id, fhir)
        return self.data

    @property
    def is_read(self) -> bool:
        """Whether data are at hand."""
        return self._data is not None

    @property
    def data(self) -> TrialData:
        """What was read last; a `UsageError` before the first `pull`."""
        if self._data is None:
            raise UsageError("nothing has been read yet: call pull() first")
        return self._data

    def source(self) -> Source | None:
        """The folder that the data were read from; None where they came from a server."""
        if self.folder is None:
            return None
        return Source(self.folder, self.study.id, self.fhir if is_fhir_folder(self.folder) else None)

    def analyse(self, conventions: Conventions) -> Results:
        """The endpoints of the data."""
        return analyse(self.data, conventions)

    def publish(self, results: Results) -> Report:
        """Write results to the server as FHIR; a second time writes nothing."""
        if self.server is None:
            raise ConfigurationError("results are published to a server: open the study with server=...")
        resources = result_resources(self.data, results, self.fhir, dt.datetime.now(dt.UTC))
        with connect(self.server, self.fhir) as connection, Journal(":memory:") as journal:
            blinded = self.study.is_blinded_on(dt.date.today().isoformat())
            return push_all(resources, connection, journal, Choices(withhold_arm=blinded))


def open_trial(study: str, server: str | None = None, folder: str | Path | None = None, fhir: str = DEFAULT) -> OpenTrial:
    """A study by id or file, with a server (a name of the configuration, or a URL) or a folder to read it from."""
    if (server is None) == (folder is None):
        raise UsageError("open a study from a server or from a folder: give one of server= and folder=")
    named = config.load().server(server) if server is not None else None
    return OpenTrial(load_study(study), named, Path(folder) if folder is not None else None, fhir)
