"""``lwb index``: brings the catalogue up to what the library's folders hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lora_weights_builder.cli.console import message, print_json
from lora_weights_builder.cli.options import DatabaseOption, JsonOption, settings_of
from lora_weights_builder.errors import UsageError

_LOCAL = "local"


def index(
    context: typer.Context,
    roots: Annotated[
        list[Path] | None, typer.Argument(metavar="ROOT", help="Folders to index (default: the saved roots).")
    ] = None,
    jobs: Annotated[int | None, typer.Option(metavar="N", help="Inspection workers (default: one a CPU).")] = None,
    engine: Annotated[str, typer.Option(metavar="ENGINE", help="Where inspections run: local.")] = _LOCAL,
    full: Annotated[
        bool, typer.Option("--full", help="Read every file again, also unchanged ones.", show_default=False)
    ] = False,
    headers_only: Annotated[
        bool,
        typer.Option(
            "--headers-only",
            help="A first look: list what is new by its header alone; the next `lwb index` measures it.",
            show_default=False,
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 if a file could not be read.", show_default=False)
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Believe a root that is suddenly empty.", show_default=False)
    ] = False,
    comfyui: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also the roots of a ComfyUI extra_model_paths.yaml.")
    ] = None,
    conventions: Annotated[str | None, typer.Option(metavar="FILE", help="Folder conventions (TOML).")] = None,
    json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Index the LoRA files below each ROOT: inspect what is new or changed.

    Bad files are recorded with their reason and stop nothing. Exit code 1 if a root could not be read.
    """
    settings = settings_of(context, database, conventions=conventions, jobs=jobs)
    if engine != _LOCAL:
        raise UsageError(f"There is no engine {engine!r} in this installation; use --engine local.", subject="engine")
    if full and headers_only:
        raise UsageError("--full reads everything and --headers-only nothing but headers; give one.", subject="full")
    from lora_weights_builder.cli.index_progress import progress_view, summary_lines
    from lora_weights_builder.library import indexer, workers
    from lora_weights_builder.library.catalog import Catalog
    from lora_weights_builder.library.comfyui_paths import read_lora_roots
    from lora_weights_builder.library.conventions import load_conventions

    chosen = [*(roots or ()), *(read_lora_roots(comfyui) if comfyui else ())]
    options = indexer.IndexOptions(
        full=full,
        headers_only=headers_only,
        allow_empty=allow_empty,
        conventions=load_conventions(settings.conventions),
    )
    with Catalog.open(settings.database) as catalog:
        if not chosen and not catalog.roots():
            raise UsageError("Name a folder to index: the library has no saved roots yet.", subject="roots")
        executor = workers.make_executor(settings.jobs)
        try:
            with progress_view() as on_event:
                summary = indexer.index(catalog, chosen, executor=executor, options=options, on_event=on_event)
        finally:
            executor.close()
    if json:
        print_json(summary.to_json())
    for line in summary_lines(summary):
        message(line)
    if summary.roots_unavailable or (strict and summary.failed):
        raise typer.Exit(1)
