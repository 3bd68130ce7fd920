import importlib.metadata
import tomllib
from pathlib import Path

import pytest

from distkeras import cli
from distkeras.cli import doctor

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"], ["help"]])
def test_help_names_every_command(capsys, words):
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: distkeras")
    for name, command in cli.COMMANDS.items():
        assert f"  {name} " in out
        assert command.summary in out


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version_is_the_projects(capsys, word):
    assert cli.main([word]) == 0
    version = tomllib.loads(PYPROJECT.read_text())["project"]["version"]
    assert capsys.readouterr().out == f"distkeras {version}\n"


def test_an_unknown_command_is_refused(capsys):
    assert cli.main(["lunch"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    for part in ("'lunch'", "launch", "doctor", "plugins", "--help"):
        assert part in captured.err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_exists_and_has_help(run_program, name):
    finished = run_program(
        ["-c", f"import sys, distkeras.cli as c; sys.exit(c.main(['{name}', '--help']))"]
    )
    assert finished.returncode == 0, finished.describe()
    assert "usage:" in finished.stdout


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (3, 3)])
def test_a_command_gets_its_arguments_and_gives_the_status(monkeypatch, returned, status):
    seen = []

    def command(words):
        seen.append(words)
        return returned

    monkeypatch.setattr(doctor, "main", command)
    assert cli.main(["doctor", "-n", "4", "--help"]) == status
    assert seen == [["-n", "4", "--help"]]


def test_the_console_script_is_this_command():
    scripts = tomllib.loads(PYPROJECT.read_text())["project"]["scripts"]
    entry = importlib.metadata.EntryPoint("distkeras", scripts["distkeras"], "console_scripts")
    assert entry.load() is cli.main
