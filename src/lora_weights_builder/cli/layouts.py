"""``lwb layouts``: the registry, as a table."""

from __future__ import annotations

from typing import Annotated

import typer

from lora_weights_builder.cli.console import print_json, table
from lora_weights_builder.cli.options import DatabaseOption, JsonOption


def layouts(
    json: JsonOption = False,
    legacy: Annotated[
        bool, typer.Option("--legacy", help="Also the ids that older catalogues hold.", show_default=False)
    ] = False,
    database: DatabaseOption = None,
) -> None:
    """List the block layouts and the architectures that use them."""
    from lora_weights_builder.inspector.block_layouts import registry

    known = [layout for layout in registry().layouts.values() if legacy or not layout.legacy]
    if json:
        print_json(
            [
                {
                    "id": layout.id,
                    "title": layout.title,
                    "family": layout.family,
                    "kind": layout.kind,
                    "block_count": layout.block_count,
                    "legacy": layout.legacy,
                    "architectures": list(layout.architectures),
                    "groups": [
                        {
                            "key": group.key,
                            "title": group.title,
                            "abbreviation": group.abbreviation,
                            "start": group.start,
                            "count": group.count,
                        }
                        for group in layout.groups
                    ],
                    "labels": [block.label for block in layout.blocks],
                }
                for layout in known
            ]
        )
        return
    rows = [
        (
            layout.id,
            str(layout.block_count),
            ", ".join(f"{group.abbreviation} {group.count}" for group in layout.groups),
            ", ".join(layout.architectures),
        )
        for layout in known
    ]
    for line in table(("LAYOUT", "BLOCKS", "GROUPS", "ARCHITECTURES"), rows, right=(1,)):
        print(line)
