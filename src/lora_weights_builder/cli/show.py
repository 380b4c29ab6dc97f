"""``lwb show``: one entry of the catalogue, drawn as ``inspect`` draws a file."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from lora_weights_builder.cli.console import print_json, shown, stdout
from lora_weights_builder.cli.options import DatabaseOption, JsonOption, ModulesOption, open_catalog
from lora_weights_builder.errors import NotFound
from lora_weights_builder.records import LoraDetail


def show(
    context: typer.Context,
    stable_id: Annotated[str, typer.Argument(metavar="ID", help="Such as FLX-CLT-057.")],
    modules: ModulesOption = False,
    json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Show one entry: what it is, its blocks, and what happened to it."""
    from lora_weights_builder.cli.lora_view import as_json, print_lora, record_of
    from lora_weights_builder.cli.sidecar_view import sidecar_lines

    with open_catalog(context, database, read_only=True) as catalog:
        detail = catalog.detail(stable_id)
    if detail is None:
        raise NotFound(f"No entry has the id {stable_id!r}; `lwb search` lists the ids there are.", subject=stable_id)
    row = detail.row
    if json:
        shared = as_json(record_of(detail), with_modules=modules)
        del shared["table_hash"]  # the catalogue keeps it to itself
        print_json(
            {
                **dataclasses.asdict(row),
                **shared,
                "base_model_evidence": detail.base_model_evidence,
                "pair": dataclasses.asdict(detail.pair) if detail.pair else None,
                "preview": detail.preview,
                "sidecar": dataclasses.asdict(detail.sidecar) if detail.sidecar else None,
                "history": [dataclasses.asdict(event) for event in detail.history],
                "duplicates": list(detail.duplicates),
            }
        )
        return
    console = stdout()
    print_lora(console, record_of(detail), title=f"{row.stable_id}  {row.filename}", with_modules=modules)
    for label, value in [*_catalogued(detail), *sidecar_lines(detail)]:
        console.out(f"  {label:<14}{shown(value)}", highlight=False)
    for event in detail.history:
        change = " -> ".join(part for part in (event.before, event.after) if part)
        console.out(f"  {event.at}  {event.kind}  {shown(change)}".rstrip(), highlight=False)


def _catalogued(detail: LoraDetail) -> list[tuple[str, str]]:
    """What only the catalogue knows, as labelled lines."""
    row = detail.row
    facts = [("path", row.file_path), ("category", f"{row.category_name or 'none'}, used as {row.role}")]
    if row.state != "present":
        facts.append(("state", row.state))
    if detail.pair:
        facts.append(("other half", f"{detail.pair.stable_id} ({detail.pair.noise})"))
    if detail.duplicates:
        facts.append(("same content", ", ".join(detail.duplicates)))
    return facts
