"""``lwb check``: the smoke check, printed in the form that scripts read."""

from __future__ import annotations

from typing import Annotated

import typer

from lora_weights_builder.cli.console import message, print_json
from lora_weights_builder.cli.options import DatabaseOption, JsonOption, settings_of


def check(
    context: typer.Context,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read every file again and compare its content.", show_default=False)
    ] = False,
    json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Ask the catalogue whether its invariants hold. Exit code 1 if one does not."""
    from lora_weights_builder.library import smoke_check
    from lora_weights_builder.library.catalog import Catalog

    where = settings_of(context, database).database
    results = smoke_check.run(where)
    if deep:
        with Catalog.open(where, read_only=True) as catalog:
            results += smoke_check.run_deep(catalog)
    if json:
        print_json(
            [
                {"title": result.title, "value": result.value, "passed": result.passed, "detail": result.detail}
                for result in results
            ]
        )
    else:
        blocks = [
            f"[CHECK] {result.title}\n  value={result.value}\n  {'PASS' if result.passed else 'FAIL'}\n"
            for result in results
        ]
        print("\n".join(blocks), end="")
        for result in results:
            if result.detail:
                message(f"{result.title}: {result.detail}")
    if not all(result.passed for result in results):
        raise typer.Exit(1)
