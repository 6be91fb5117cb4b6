"""A bulk export's job, kept beside its folder so that a run that breaks off goes on with it: where to ask, and the files that came."""

import os
import shutil
from pathlib import Path

import msgspec

from fhir_trial.sync.folder import disk

NAME = "bulk.json"
FILES = "bulk"


class _State(msgspec.Struct, frozen=True, kw_only=True):
    schema: int = 1
    server: str
    kick_off: str
    status_url: str
    transaction_time: str | None = None


class SavedJob:
    """The job of one folder; its files stand in `FOLDER/.fhir-trial/bulk/` under names of our own."""

    def __init__(self, folder: Path | str, server: str) -> None:
        """Read what was saved, if it is of this server (a base URL)."""
        self._folder, self._server = Path(folder) / ".fhir-trial", server
        self._state = self._read()

    def status_url(self, kick_off: str) -> str | None:
        """Where to ask for the job that this kick-off began, None where there is none."""
        return self._state.status_url if self._state is not None and self._state.kick_off == kick_off else None

    def any_status_url(self) -> str | None:
        """Where to ask for the job saved, whatever began it."""
        return self._state.status_url if self._state is not None else None

    def save(self, kick_off: str, status_url: str) -> None:
        """Keep a new job and drop the files of another."""
        shutil.rmtree(self._folder / FILES, ignore_errors=True)
        self._write(_State(server=self._server, kick_off=kick_off, status_url=status_url))

    def keep_files_of(self, transaction_time: str) -> None:
        """The files here are of that time; those of another are dropped."""
        assert self._state is not None
        if self._state.transaction_time != transaction_time:
            shutil.rmtree(self._folder / FILES, ignore_errors=True)
            self._write(msgspec.structs.replace(self._state, transaction_time=transaction_time))
        with disk(self._folder):
            (self._folder / FILES).mkdir(mode=0o700, exist_ok=True)

    def file(self, part: str, number: int) -> Path:
        """Where the file of that number of a part (output, error, deleted) stands."""
        return self._folder / FILES / f"{part}-{number:05}.ndjson"

    def remove(self) -> None:
        """Take everything away."""
        shutil.rmtree(self._folder / FILES, ignore_errors=True)
        (self._folder / NAME).unlink(missing_ok=True)
        self._state = None
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _read(self) -> _State | None:
        try:
            state = msgspec.json.decode((self._folder / NAME).read_bytes(), type=_State)
        except (OSError, msgspec.DecodeError):
            return None
        return state if (state.schema, state.server) == (1, self._server) else None

    def _write(self, state: _State) -> None:
        with disk(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = self._folder / f"{NAME}.part"
            with os.fdopen(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(msgspec.json.encode(state))
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self._folder / NAME)
        self._state = state

    def __repr__(self) -> str:
        """The folder; never the address, which may hold a secret."""
        return f"SavedJob({self._folder})"
