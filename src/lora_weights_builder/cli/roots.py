"""``lwb roots``: the folders that make up the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lora_weights_builder.cli.console import message, print_json, table
from lora_weights_builder.cli.options import DatabaseOption, JsonOption, open_catalog

app = typer.Typer(help="The folders that make up the library.", rich_markup_mode=None)

RootArgument = Annotated[Path, typer.Argument(metavar="ROOT", help="A folder of LoRA files.")]


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, json: JsonOption = False, database: DatabaseOption = None) -> None:
    """The folders that make up the library (list, add, remove)."""
    if context.invoked_subcommand is None:
        list_roots(context, json=json, database=database)


@app.command("list")
def list_roots(context: typer.Context, json: JsonOption = False, database: DatabaseOption = None) -> None:
    """List the roots with their number of entries."""
    with open_catalog(context, database, read_only=True) as catalog:
        roots = catalog.roots()
    if json:
        print_json(
            [
                {
                    "path": root.path,
                    "added_at": root.added_at,
                    "last_scan": root.last_scan,
                    "entries": root.entries,
                    "missing": root.missing,
                }
                for root in roots
            ]
        )
        return
    if not roots:
        message("The library has no roots yet; `lwb roots add FOLDER` or `lwb index FOLDER` adds one.")
        return
    rows = [(root.path, str(root.entries), str(root.missing), root.last_scan or "never") for root in roots]
    for line in table(("ROOT", "ENTRIES", "MISSING", "LAST SCAN"), rows, right=(1, 2)):
        print(line)


@app.command("add")
def add_root(context: typer.Context, root: RootArgument, database: DatabaseOption = None) -> None:
    """Save a folder as a root; the next index run reads it."""
    with open_catalog(context, database) as catalog:
        message(f"{catalog.add_root(root).path} is a root of the library now.")


@app.command("remove")
def remove_root(context: typer.Context, root: RootArgument, database: DatabaseOption = None) -> None:
    """Take a folder off the list. Its entries become missing and keep their ids; no file is touched."""
    with open_catalog(context, database) as catalog:
        count = catalog.remove_root(root)
    message(f"{root} is no root any more; {count} entries are missing now and keep their ids.")
