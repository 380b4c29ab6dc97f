"""``lwb forget``: drops a missing entry from sight; its id stays retired."""

from __future__ import annotations

from typing import Annotated

import typer

from lora_weights_builder.cli.console import message
from lora_weights_builder.cli.options import DatabaseOption, open_catalog


def forget(
    context: typer.Context,
    stable_id: Annotated[str, typer.Argument(metavar="ID", help="Such as FLX-CLT-057.")],
    database: DatabaseOption = None,
) -> None:
    """Drop a missing entry from the catalogue. Its id is never given to another."""
    with open_catalog(context, database) as catalog:
        catalog.forget(stable_id)
    message(f"{stable_id} is forgotten; its id stays retired.")
