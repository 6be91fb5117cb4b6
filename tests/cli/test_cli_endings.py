"""How commands end and what they say on the way: partly done and resumed, progress at a terminal and nowhere else."""

import dataclasses
import json
import subprocess
import sys

import pytest
from loop_runs import TOKEN

from fhir_trial.cli import servers
from fhir_trial.cli.main import COMMANDS, run
from fhir_trial.cli.output import terminal_progress
from fhir_trial.errors import Unreachable
from fhir_trial.progress import silent


@pytest.fixture
def folder(fhir_folders, tmp_path):
    """The trial in R4, the test's own copy: a sync leaves its journal there."""
    copy = tmp_path / "trial"
    copy.mkdir()
    for path in fhir_folders["r4"].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


@pytest.fixture
def leaves_after(monkeypatch):
    """`leaves_after(n, methods)`: the server cannot be reached any more after n requests that write, or of these methods."""
    whole = servers._open

    def after(number, methods=("POST", "PUT", "DELETE")):
        def opened(*arguments):
            connection, left = whole(*arguments), [number]

            def send(request):
                if request.method in methods:
                    if not left[0]:
                        raise Unreachable("the server is gone")
                    left[0] -= 1
                return connection.send(request)

            return dataclasses.replace(connection, send=send)

        monkeypatch.setattr(servers, "_open", opened)

    return after


@pytest.mark.thorough
def test_a_sync_that_the_server_leaves_ends_with_5_and_the_next_one_goes_on(command, folder, served, leaves_after, monkeypatch):
    monkeypatch.setenv("TESTS_TOKEN", TOKEN)
    call = ("sync", folder, "--server", served, "--token", "env:TESTS_TOKEN", "--research-store", "--apply", "--json")
    total = sum(path.read_bytes().count(b"\n") for path in folder.glob("*.ndjson"))
    leaves_after(0)
    nothing = command(*call)
    assert (nothing.code, nothing.out) == (4, "")
    leaves_after(1)
    partly = command(*call)
    assert (partly.code, partly.out) == (5, "")
    (line,) = partly.err.splitlines()
    assert line.startswith("fhir-trial: ")
    written = int(line.split()[1])
    assert 0 < written < total
    assert line.endswith(f"{written} of {total} resources are written; run again to go on: the server is gone")
    leaves_after(-1)
    rest = json.loads(command(*call).out)
    assert rest["created"] == total - written
    assert json.loads(command(*call).out)["unchanged"] == total


@pytest.mark.parametrize("output", [[], ["--json"]], ids=["text", "json"])
def test_a_plan_is_shown_as_it_is_decided(command, folder, served, leaves_after, monkeypatch, output):
    monkeypatch.setenv("TESTS_TOKEN", TOKEN)
    monkeypatch.setattr("fhir_trial.sync.plan.PIECE", 2)
    leaves_after(3, methods=("GET",))
    broken = command("sync", folder, "--server", served, "--token", "env:TESTS_TOKEN", "--research-store", *output)
    assert broken.code == 4
    assert broken.out.count("create ") > 0
    assert "plan" not in broken.out


def test_progress_is_said_once_a_step_at_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = terminal_progress()
    for done in (0, 50, 100):
        progress("writing", done, 100)
    progress("reading", 2, None)
    assert capsys.readouterr() == ("", "[1/100] writing\n[3/?] reading\n")


def test_progress_is_not_said_where_nobody_looks(capsys):
    assert terminal_progress() is silent
    terminal_progress()("writing", 0, 100)
    assert capsys.readouterr() == ("", "")


def test_a_command_tells_its_steps_on_stderr_and_its_data_on_stdout(command, folder, served, monkeypatch):
    monkeypatch.setenv("TESTS_TOKEN", TOKEN)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    said = command("sync", folder, "--server", served, "--token", "env:TESTS_TOKEN", "--research-store", "--apply", "--json")
    assert json.loads(said.out)["created"] > 0
    assert [line[:1] for line in said.err.splitlines()] == ["["] * said.err.count("\n")
    assert said.err.count("\n") >= 1


def test_a_command_loads_what_it_needs_and_not_the_statistics_of_others():
    script = """
import sys
from fhir_trial.cli.main import run
run(["pull", "--help"])
print(*sorted({"pandas", "scipy", "lxml"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_without_a_command_every_command_is_named(capsys):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)
    assert run(["no-such-command"]) == 2


def test_a_fault_of_our_own_is_one_line_without_data(monkeypatch, capsys):
    def broken(*_: object, **__: object) -> None:
        raise KeyError("Zebulon Quimby")

    monkeypatch.setattr("fhir_trial.cli.doctor.connect", broken)
    assert run(["doctor", "--server", "http://127.0.0.1:1/fhir"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "KeyError at doctor.py:" in line
    assert "Quimby" not in line
