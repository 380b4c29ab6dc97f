"""``lwb demo``: writes the synthetic library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lora_weights_builder.cli.console import human_size, message, print_json
from lora_weights_builder.cli.options import DatabaseOption, JsonOption


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty or new folder.")],
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that holds other files.", show_default=False)
    ] = False,
    json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Write a small library of synthetic LoRAs to try things on.

    Several architectures, dialects and adapter types, in the conventional folders.
    """
    from lora_weights_builder.demo.library_writer import write_library

    written = write_library(folder, force=force)
    if json:
        print_json({"folder": str(folder), "files": len(written.files), "size_bytes": written.size_bytes})
        return
    message(f"{len(written.files)} files, {human_size(written.size_bytes)}, in {folder}.")
    message(f"Next: lwb serve {folder}")
