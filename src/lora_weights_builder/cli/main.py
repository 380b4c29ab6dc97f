"""``lwb``: joins the commands and is the one place where an error becomes a message and an exit code.

Exit codes: 0 done; 1 a check or a file failed; 2 usage; 130 interrupted; each class of
:mod:`lora_weights_builder.errors` carries its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from lora_weights_builder import __version__
from lora_weights_builder.cli import (
    capture,
    check,
    console,
    demo,
    export,
    file_hash,
    forget,
    ids,
    index,
    inspect_files,
    layouts,
    roots,
    search,
    serve,
    show,
)
from lora_weights_builder.cli.options import DatabaseOption
from lora_weights_builder.errors import LwbError

INTERRUPTED = 130

app = typer.Typer(
    name="lwb",
    help="Index, inspect and address a library of LoRA files, block by block.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help: readable in every terminal, log and encoding, and it needs no import of rich.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lwb {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    database: DatabaseOption = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Index, inspect and address a library of LoRA files, block by block."""


app.command("serve")(serve.serve)
app.command("index")(index.index)
app.command("inspect")(inspect_files.inspect)
app.command("search")(search.search)
app.command("show")(show.show)
app.command("export")(export.export)
app.command("check")(check.check)
app.command("layouts")(layouts.layouts)
app.command("capture")(capture.capture)
app.command("hash")(file_hash.file_hash)
app.command("forget")(forget.forget)
app.command("demo")(demo.demo)
app.add_typer(ids.app, name="ids")
app.add_typer(roots.app, name="roots")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line, that of this process if ``None``, and exit."""
    console.prepare_streams()
    try:
        app(None if arguments is None else list(arguments), prog_name="lwb")
    except LwbError as error:
        console.message(f"error: {error.message}")
        _leave(error.exit_code)
    except KeyboardInterrupt:
        _leave(INTERRUPTED)
    except SystemExit as leaving:
        _leave(leaving.code if isinstance(leaving.code, int) else 0)
    _leave(0)


def _leave(code: int) -> NoReturn:
    """Exit after the last write: a reader that closed the pipe (``| head``) is no error to report."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more while it shuts down, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
