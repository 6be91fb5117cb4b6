"""The command line: its commands, and how a failure ends (exit codes of `fhir_trial.errors`; 130 when interrupted)."""

import sys
import traceback
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_trial.cli.output import finding_row, say, say_findings, show, show_json
from fhir_trial.errors import FhirTrialError, InputError, UsageError

COMMANDS = {
    "demo": "loop",
    "serve": "loop",
    "to-fhir": "data",
    "from-fhir": "data",
    "validate": "data",
    "view": "view",
    "endpoints": "data",
    "compare": "comparing",
    "lock": "locking",
    "diff": "locking",
    "sync": "servers",
    "pull": "pull",
    "doctor": "doctor",
    "deidentify": "privacy",
    "purge": "privacy",
    "registry": "registry",
    "study": "study",
    "audit": "privacy",
}
"""Each command's module: a function of the command's name, or for a group a `Typer`."""
_GROUPS = {"registry": "app", "study": "app", "audit": "audit"}

# Typer's newer versions carry a click of their own, whose base of all refusals has no public name.
_Refusal: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
INTERRUPTED = 130


def _app(names: Iterable[str]) -> typer.Typer:
    """The application with these commands alone: the modules of the others take seconds to load, and most of the memory of a pull."""
    app = typer.Typer(
        name="fhir-trial",
        help="Clinical-trial data to FHIR and back: sync, tables, endpoints, registry records.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_general)
    for name in names:
        module = import_module(f"fhir_trial.cli.{COMMANDS[name]}")
        if name in _GROUPS:
            app.add_typer(getattr(module, _GROUPS[name]), name=name)
        else:
            app.command(name)(getattr(module, name.replace("-", "_")))
    return app


def _general(version: Annotated[bool, typer.Option("--version", help="Say the version, and nothing else.")] = False) -> None:
    """Clinical-trial data to FHIR and back: sync, tables, endpoints, registry records."""
    if version:
        show(package_version("fhir_trial"))
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code. A failure that the package names is one line on stderr, never a traceback."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = _app(given[:1] if given and given[0] in COMMANDS else COMMANDS)(given, standalone_mode=False)
    except typer.Exit as end:
        code = end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except FhirTrialError as error:
        return _failed(error, "--json" in given)
    except _Refusal as error:
        error.show(sys.stderr)
        return 2
    except OSError as error:  # a folder that cannot be written, a file that cannot be read
        say(f"fhir-trial: {error.filename or 'input or output'}: {error.strerror or type(error).__name__}")
        return UsageError.exit_code
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return _fault(error)
    if code == INTERRUPTED:
        say("interrupted; run the same command again to go on")
    return code if isinstance(code, int) else 0


def _fault(error: Exception) -> int:
    """A fault of our own: where, and of what kind; its text and a traceback may quote subjects' data (`python -X dev` shows them)."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "fhir_trial" in frame.filename]
    at = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    say(f"fhir-trial: a fault of this program ({type(error).__name__}{at}): please report it")
    return FhirTrialError.exit_code


def _failed(error: FhirTrialError, as_json: bool) -> int:
    if isinstance(error, InputError):
        if as_json:
            show_json({"findings": [finding_row(finding) for finding in error.findings]})
        say_findings(error.findings)
    else:
        say(f"fhir-trial: {error}")
    return error.exit_code
