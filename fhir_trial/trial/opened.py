"""A study with somewhere to read it from: a server, a folder of FHIR, or a folder of SDTM."""

import datetime as dt
from pathlib import Path

from fhir_trial import config
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import Results, analyse
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.errors import ConfigurationError, Findings, UsageError, no_folder
from fhir_trial.fhir.versions import DEFAULT, version
from fhir_trial.progress import Progress, silent
from fhir_trial.sources.odm_rows import read_odm_data
from fhir_trial.sources.sdtm.read import OnError, read_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.folder import folder_version, read_manifest
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.push import Report
from fhir_trial.trial.connection import connect
from fhir_trial.trial.derived import Source
from fhir_trial.trial.exchange import pull_study, push_all
from fhir_trial.trial.folder_reading import is_fhir_folder, read_resources
from fhir_trial.trial.publish import result_resources
from fhir_trial.trial.resources import from_resources

SOURCE = "a folder of SDTM domains or of FHIR"


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
    if fhir is not None:
        version(fhir)  # a version that is not known is said of any folder, though SDTM has none
    if not folder.is_dir():
        raise no_folder(folder, SOURCE)
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
            if not self.folder.exists():
                raise no_folder(self.folder, SOURCE)
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
