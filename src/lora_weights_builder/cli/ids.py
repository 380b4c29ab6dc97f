"""``lwb ids``: the ledger of stable ids, as JSON Lines, so that a rebuilt catalogue gives the same ids."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lora_weights_builder.cli.console import message
from lora_weights_builder.cli.options import DatabaseOption, open_catalog
from lora_weights_builder.errors import UsageError

app = typer.Typer(help="The ledger of stable ids.", rich_markup_mode=None, no_args_is_help=True)

_STANDARD_STREAM = Path("-")


@app.callback()
def _options(database: DatabaseOption = None) -> None:
    """The ledger of stable ids (export, import)."""


@app.command("export")
def export_ids(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; - is stdout.")],
    database: DatabaseOption = None,
) -> None:
    """Write every id ever given, and to which content, as JSON Lines."""
    with open_catalog(context, database, read_only=True) as catalog:
        lines = list(catalog.export_ids())
    text = "".join(f"{line}\n" for line in lines)
    if file == _STANDARD_STREAM:
        sys.stdout.write(text)
    else:
        try:
            # Through a neighbour, so that a full disk never leaves half a ledger in place of a whole one.
            partial = file.with_name(file.name + ".partial")
            partial.write_text(text, encoding="utf-8", newline="\n")
            partial.replace(file)
        except OSError as error:
            raise UsageError(f"Cannot write {file}: {error.strerror or error}.", subject=str(file)) from error
    message(f"{len(lines)} ids exported.")


@app.command("import")
def import_ids(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A ledger; - is stdin.")],
    database: DatabaseOption = None,
) -> None:
    """Take a ledger in, all or nothing. Files with this content get their ids back."""
    try:
        text = sys.stdin.read() if file == _STANDARD_STREAM else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read the ledger {file}: {error}.", subject=str(file)) from error
    with open_catalog(context, database) as catalog:
        added = catalog.import_ids(text.split("\n"))
    message(f"{added} new ids taken in.")
