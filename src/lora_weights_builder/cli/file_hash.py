"""``lwb hash``: the whole-file hashes that model sites list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lora_weights_builder.cli.console import message, print_json, shown
from lora_weights_builder.cli.options import DatabaseOption, JsonOption
from lora_weights_builder.errors import FileRejected


def file_hash(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="LoRA files (.safetensors).")],
    json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Print the whole-file hashes of each FILE.

    BLAKE3, SHA-256 (its first 10 digits are AutoV2) and AutoV3.
    """
    from lora_weights_builder.inspector.tensor_file import file_hashes

    failed = False
    for path in files:
        try:
            hashes = file_hashes(path)
        except FileRejected as fault:
            message(f"error: {fault.message}")
            failed = True
            continue
        if json:
            print_json(
                {"file_path": str(path), "blake3": hashes.blake3, "sha256": hashes.sha256, "autov3": hashes.autov3}
            )
        else:
            print(shown(str(path)))
            for name, value in (("blake3", hashes.blake3), ("sha256", hashes.sha256), ("autov3", hashes.autov3)):
                print(f"  {name}  {value}")
    if failed:
        raise typer.Exit(1)
