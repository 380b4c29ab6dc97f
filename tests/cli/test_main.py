"""The command line as a whole: exit codes, where ``--db`` may stand, what help costs, interruption, closed pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lora_weights_builder import __version__
from tests.cli.support import CHALK, Lwb

LWB = (sys.executable, "-m", "lora_weights_builder")


def test_help_lists_every_command(lwb: Lwb) -> None:
    answer = lwb("--help")
    commands = answer.out.partition("Commands:")[2].split("\n")
    assert answer.code == 0
    assert [line.split()[0] for line in commands if line.strip()] == [
        "serve", "index", "inspect", "search", "show", "export", "check", "layouts", "capture", "hash", "forget",
        "demo", "ids", "roots",
    ]  # fmt: skip


def test_version_is_printed(lwb: Lwb) -> None:
    assert lwb("--version").out == f"lwb {__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("ids",), ("nonsense",), ("index", "--nonsense"), ("show",)])
def test_usage_errors_exit_with_2_and_leave_stdout_to_results(lwb: Lwb, arguments: tuple[str, ...]) -> None:
    answer = lwb(*arguments)
    assert answer.code == 2
    assert not answer.out or answer.out.startswith("Usage:")


def test_an_error_is_one_sentence_on_stderr_and_its_class_gives_the_exit_code(indexed: Lwb) -> None:
    answer = indexed("show", "FLX-CLT-999")
    assert answer.code == 7
    assert answer.out == ""
    assert answer.err == "error: No entry has the id 'FLX-CLT-999'; `lwb search` lists the ids there are.\n"


def test_a_reading_command_makes_no_database(lwb: Lwb, tmp_path: Path) -> None:
    answer = lwb("search", "--db", tmp_path / "none.db")
    assert answer.code == 5
    assert answer.err.startswith("error: There is no database at")
    assert not (tmp_path / "none.db").exists()


def test_a_setting_that_cannot_be_used_exits_with_4(lwb: Lwb, tmp_path: Path) -> None:
    assert lwb("index", tmp_path, "--jobs", "0").code == 4


def test_db_is_taken_before_and_after_the_subcommand(indexed: Lwb, tmp_path: Path) -> None:
    database = tmp_path / "lora_master.db"
    other = tmp_path / "other.db"
    for arguments in (
        ("--db", database, "search", "--json", "--db", database),
        ("--db", database, "search", "--json"),
        ("--db", other, "search", "--json", "--db", database),
    ):
        assert indexed(*arguments).json["total"] == 8
    assert indexed("--db", other, "search").code == 5
    assert indexed("roots", "--db", database, "list", "--json").json[0]["entries"] == 8
    assert indexed("search", "--json", "--db", f"sqlite:///{database}").json["total"] == 8


def _loaded_by(*arguments: str | Path) -> set[str]:
    """The top-level modules that a command line imports."""
    script = (
        "import sys\n"
        "from lora_weights_builder.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    print('LOADED', *sorted(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.rpartition("LOADED ")[2].split()}


def test_help_imports_no_heavy_library() -> None:
    assert not _loaded_by("--help") & {"fastapi", "sqlalchemy", "numpy", "pydantic", "uvicorn", "alembic", "rich"}


def test_inspect_imports_neither_database_nor_server(folder: Path) -> None:
    loaded = _loaded_by("inspect", folder / CHALK)
    assert "numpy" in loaded
    assert not loaded & {"fastapi", "sqlalchemy", "uvicorn", "alembic", "starlette"}


def test_ctrl_c_exits_with_130_and_without_a_traceback(monkeypatch: pytest.MonkeyPatch, lwb: Lwb) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lora_weights_builder.cli.options.settings_of", interrupted)
    answer = lwb("search")
    assert answer.code == 130
    assert "Traceback" not in answer.err


def test_a_closed_pipe_is_quiet(folder: Path) -> None:
    files = [str(folder / CHALK)] * 40  # more than a pipe holds
    process = subprocess.Popen([*LWB, "inspect", "--json", *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert complaint == b""
