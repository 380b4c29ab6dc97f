"""``lwb serve``: the web interface and the API, with the library indexed in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lora_weights_builder.cli.options import DatabaseOption, settings_of


def serve(
    context: typer.Context,
    roots: Annotated[
        list[Path] | None, typer.Argument(metavar="ROOT", help="Folders to index (default: the saved roots).")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (default: 5001; 0 takes a free one).")] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser.", show_default=False)] = False,
    token: Annotated[str | None, typer.Option(help="Ask clients for this token; needed beyond this machine.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", metavar="N", help="Inspection workers.")] = None,
    conventions: Annotated[str | None, typer.Option(metavar="FILE", help="Folder conventions (TOML).")] = None,
    database: DatabaseOption = None,
) -> None:
    """Serve UI and API, and index the ROOTs in the background."""
    settings = settings_of(context, database, conventions=conventions, jobs=jobs, host=host, port=port, token=token)
    from lora_weights_builder.api.run import run_server

    run_server(settings, roots or (), open_browser=not no_open)
