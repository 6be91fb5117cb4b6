"""The command line: its commands, and how a failure ends (exit codes of `fhir_trial.errors`; 130 when interrupted)."""

import sys

import click
import typer

from fhir_trial.cli import data, loop, registry, servers
from fhir_trial.cli.output import say, say_findings
from fhir_trial.errors import FhirTrialError, InputError

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
app.command("view")(data.view)
app.command("endpoints")(data.endpoints)
app.command("sync")(servers.sync)
app.command("pull")(servers.pull)
app.command("doctor")(servers.doctor)
app.add_typer(registry.app, name="registry")


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code. A failure that the package names is one line on stderr, never a traceback."""
    try:
        code = app(arguments, standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return 2
    except (KeyboardInterrupt, click.Abort):
        say("interrupted; run the same command again to go on")
        return 130
    except FhirTrialError as error:
        return _failed(error)
    return code if isinstance(code, int) else 0


def _failed(error: FhirTrialError) -> int:
    if isinstance(error, InputError):
        say_findings(error.findings)
    else:
        say(f"fhir-trial: {error}")
    return error.exit_code
