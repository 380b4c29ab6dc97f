"""``lwb capture``: a file's names and shapes, to report a format that is not recognised."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lora_weights_builder.cli.console import message, print_json
from lora_weights_builder.cli.options import DatabaseOption, JsonOption
from lora_weights_builder.errors import UsageError


def capture(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A LoRA file (.safetensors).")],
    layout_name: Annotated[
        str | None,
        typer.Option(
            "--layout-name", metavar="NAME", help="The layout that it ought to have, if you know.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="A new file to write; otherwise stdout.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Write down the tensor names and shapes of FILE, to be pasted into a report.

    No weights; of the metadata the names of the fields, and only those values that name a base model.
    """
    from lora_weights_builder.inspector.capture import as_text
    from lora_weights_builder.inspector.capture import capture as capture_header
    from lora_weights_builder.inspector.tensor_file import read_header

    document = capture_header(read_header(file), layout_name)
    if output is not None:
        _write_new(output, as_text(document))
    elif json:
        print_json(document)
    else:
        sys.stdout.write(as_text(document))
    if document["expected"] is None:
        message("Not recognised as that." if layout_name else "Not recognised; the comment says what is missing.")


def _write_new(path: Path, text: str) -> None:
    """Never over a file that is there: a mistyped name could be that of a LoRA."""
    try:
        with path.open("x", encoding="utf-8", newline="\n") as out:
            out.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; give another name or delete it.", subject=str(path)) from error
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror or error}.", subject=str(path)) from error
