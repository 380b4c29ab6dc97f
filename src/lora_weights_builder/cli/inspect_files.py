"""``lwb inspect``: says what files are and what they change, without a database.

Not named ``inspect``, which is a module of the standard library.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lora_weights_builder.cli.console import message, print_json, stdout
from lora_weights_builder.cli.options import DatabaseOption, JsonOption, ModulesOption, settings_of
from lora_weights_builder.records import FolderHint

if TYPE_CHECKING:
    from lora_weights_builder.library.conventions import Conventions

_DEEPEST_CONVENTION = 3  # folders: base, mode, category


def inspect(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="LoRA files (.safetensors).")],
    json: JsonOption = False,
    modules: ModulesOption = False,
    headers_only: Annotated[
        bool, typer.Option("--headers-only", help="Names and shapes only; no strengths.", show_default=False)
    ] = False,
    database: DatabaseOption = None,
) -> None:
    """Say what each FILE is, and how strongly it changes each block.

    Exit code 1 if a file could not be inspected; the others are still done.
    """
    from lora_weights_builder.cli.lora_view import as_json, print_lora
    from lora_weights_builder.inspector.delta_inspector import inspect as inspect_file
    from lora_weights_builder.library.conventions import load_conventions

    conventions = load_conventions(settings_of(context, database).conventions)
    failed = False
    for number, path in enumerate(files):
        lora_name, hint = place_in_library(path, conventions)
        record = inspect_file(path, hint=hint, lora_name=lora_name, measure=not headers_only)
        if json:
            print_json(as_json(record, with_modules=modules))
        elif record.error is None:
            if number:
                print()
            print_lora(stdout(), record, with_modules=modules)
        if record.error is not None:
            message(f"error: {record.error}")
            failed = True
    if failed:
        raise typer.Exit(1)


def place_in_library(path: Path, conventions: Conventions) -> tuple[str, FolderHint | None]:
    """The name ComfyUI would list the file under, and what its folders say, without knowing the library's roots.

    Only folders that fit the convention count (``FLUX``, ``FLUX/08 - Clothing``, ``WAN2.1/T2V/08 - Clothing``), the
    innermost first: somewhere up the path of many machines there is a folder named ``sd``.
    """
    parts = path.absolute().parts
    for depth in range(1, min(_DEEPEST_CONVENTION, len(parts) - 1) + 1):
        relative = "/".join(parts[-1 - depth :])
        hint = conventions.hint(relative)
        known = sum(value is not None for value in (hint.base_model_code, hint.mode, hint.category_code))
        if hint.base_model_code is not None and known == depth:
            return relative, hint
    return path.name, None
