"""The command line: its commands, and how a failure ends (exit codes of `fhir_trial.errors`; 130 when interrupted)."""

import sys
from typing import Any

import typer

from fhir_trial.cli import comparing, data, doctor, locking, loop, privacy, pull, registry, servers, study, view
from fhir_trial.cli.output import say, say_findings
from fhir_trial.errors import FhirTrialError, InputError, UsageError

app = typer.Typer(
    name="fhir-trial",
    help="Clinical-trial data to FHIR and back: sync, tables, endpoints, registry records.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(loop.demo)
app.command("serve")(loop.serve)
app.command("to-fhir")(data.to_fhir)
app.command("from-fhir")(data.from_fhir)
app.command("validate")(data.validate)
app.command("view")(view.view)
app.command("endpoints")(data.endpoints)
app.command("compare")(comparing.compare)
app.command("lock")(locking.lock)
app.command("diff")(locking.diff)
app.command("sync")(servers.sync)
app.command("pull")(pull.pull)
app.command("doctor")(doctor.doctor)
app.command("deidentify")(privacy.deidentify)
app.command("purge")(privacy.purge)
app.add_typer(registry.app, name="registry")
app.add_typer(study.app, name="study")
app.add_typer(privacy.audit, name="audit")

# Typer's newer versions carry a click of their own, whose base of all refusals has no public name.
_Refusal: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code. A failure that the package names is one line on stderr, never a traceback."""
    try:
        code = app(arguments, standalone_mode=False)
    except typer.Exit as end:
        code = end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except FhirTrialError as error:
        return _failed(error)
    except _Refusal as error:
        error.show(sys.stderr)
        return 2
    except OSError as error:  # a folder that cannot be written, a file that cannot be read
        say(f"fhir-trial: {error.filename or 'input or output'}: {error.strerror or type(error).__name__}")
        return UsageError.exit_code
    if code == INTERRUPTED:
        say("interrupted; run the same command again to go on")
    return code if isinstance(code, int) else 0


def _failed(error: FhirTrialError) -> int:
    if isinstance(error, InputError):
        say_findings(error.findings)
    else:
        say(f"fhir-trial: {error}")
    return error.exit_code
