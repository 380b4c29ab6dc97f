"""``lwb export``: the measured blocks of one entry, for a spreadsheet or a program."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from lora_weights_builder.cli.console import print_json
from lora_weights_builder.cli.options import DatabaseOption, open_catalog
from lora_weights_builder.errors import NotFound


class Format(StrEnum):
    """What the blocks are written as."""

    csv = "csv"
    json = "json"


def export(
    context: typer.Context,
    stable_id: Annotated[str, typer.Argument(metavar="ID", help="Such as FLX-CLT-057.")],
    format: Annotated[Format, typer.Option("--format", help="Numbers only, or with labels and groups.")] = Format.csv,
    database: DatabaseOption = None,
) -> None:
    """Print the measured blocks of an entry."""
    from lora_weights_builder.builder.measured_csv import blocks_csv

    with open_catalog(context, database, read_only=True) as catalog:
        detail = catalog.detail(stable_id)
    if detail is None:
        raise NotFound(f"No entry has the id {stable_id!r}; `lwb search` lists the ids there are.", subject=stable_id)
    row = detail.row
    if not row.has_block_weights or not detail.blocks:
        reason = row.fallback_reason or row.error or "it has no block weights"
        raise NotFound(
            f"Nothing was measured for {stable_id}, so there is nothing to export: {reason}.", subject=stable_id
        )
    if format is Format.csv:
        sys.stdout.write(blocks_csv(detail.blocks))
        return
    blocks = [
        {
            "block_index": block.block_index,
            "label": block.label,
            "group": block.group,
            "weight": block.weight,
            "raw_strength": block.raw_strength,
            "present": block.present,
        }
        for block in detail.blocks
    ]
    print_json({"stable_id": stable_id, "block_layout": row.block_layout, "blocks": blocks})
