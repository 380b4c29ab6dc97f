"""What the launchers in this folder share: the package found, the database beside them, the command run.

They keep the file names that scripts of the original workflow call; everything they do is in the package. Their
catalogue is ``Database/lora_master.db``, unless the call names another with ``--db``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATABASE = ROOT / "Database" / "lora_master.db"
VENV = ROOT / ".venv"
UNUSABLE = 2  # never 0: a script that reads PASS into the exit code must not do so where nothing was checked


def launch(
    command: str, *, no_arguments: tuple[str, ...] = (), needs_database: bool = False, needs_roots: bool = False
) -> None:
    """Runs ``lwb COMMAND`` with this call's arguments and exits with its code.

    Args:
        no_arguments: what to append to the command where the call has none.
        needs_database: exit 2 where the database file does not exist.
        needs_roots: where the call names no roots, the saved ones must exist; else exit 2.
    """
    try:
        from lora_weights_builder.cli import main as cli
    except ModuleNotFoundError as error:
        _run_in_the_projects_environment(error)
        return
    arguments = sys.argv[1:] or list(no_arguments)
    own_database = not any(argument == "--db" or argument.startswith("--db=") for argument in arguments)
    if own_database and not {"-h", "--help"} & set(arguments):
        if needs_database:
            _require_database()
        if needs_roots and not _names_roots(command, arguments):
            _require_database()
            _require_saved_roots()
    # Before the subcommand, so that a --db in the arguments wins.
    sys.argv[1:] = ["--db", str(DATABASE), command, *arguments]
    cli.main()


def _run_in_the_projects_environment(error: ModuleNotFoundError) -> None:
    """Once more, with the Python of the checkout's own environment, where ``dev.py`` made one."""
    windows = os.name == "nt"
    python = VENV / ("Scripts/python.exe" if windows else "bin/python")
    if not python.is_file() or Path(sys.prefix).resolve() == VENV.resolve():
        _refuse(
            f"{error} under {sys.executable}, and {VENV} cannot help. Run `python3 dev.py up` in {ROOT} once, "
            "or install the package for this Python."
        )
    call = [str(python), *sys.argv]
    if windows:  # exec there returns to the shell before the program has ended
        sys.exit(subprocess.run(call).returncode)
    os.execv(python, call)


def _require_database() -> None:
    if not DATABASE.is_file():
        _refuse(f"there is no catalogue at {DATABASE}. Make one: python Database/backend/lora_indexer.py ROOT...")


def _require_saved_roots() -> None:
    from lora_weights_builder.errors import LwbError
    from lora_weights_builder.library.catalog import Catalog

    try:
        catalog = Catalog.open(str(DATABASE))
    except LwbError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    try:
        saved = catalog.roots()
    finally:
        catalog.close()
    if not saved:
        _refuse("no library folder was given, and none is saved in the catalogue. Name one: ROOT...")


def _names_roots(command: str, arguments: list[str]) -> bool:
    """Whether the command, reading ``arguments``, finds roots in them."""
    import typer.main

    from lora_weights_builder.cli.main import app

    group = typer.main.get_command(app)
    parser = getattr(group, "commands")[command]  # noqa: B009 - the group's static type does not tell
    given = parser.make_context(command, list(arguments), resilient_parsing=True).params
    return bool(given.get("roots") or given.get("comfyui"))


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"error: {sentence}\n")
    sys.exit(UNUSABLE)
