"""``lwb search``: the catalogue from the shell."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from lora_weights_builder.cli.console import draws_unicode, message, print_json, shown, stdout
from lora_weights_builder.cli.options import DatabaseOption, JsonOption, open_catalog

if TYPE_CHECKING:
    from rich.console import Console

    from lora_weights_builder.records import LoraRow

_PROFILE_WIDTH = 19  # one character a double block of Flux, three blocks a character for all of it


def search(
    context: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Found as it stands in name, path, id, title, trigger words.")
    ] = "",
    base: Annotated[str | None, typer.Option(help="Base-model code, such as FLX.")] = None,
    category: Annotated[str | None, typer.Option(help="Category code, such as CLT.")] = None,
    layout: Annotated[str | None, typer.Option(help="Block layout, such as flux_unet_57.")] = None,
    architecture: Annotated[str | None, typer.Option(help="Architecture, such as flux1.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Adapter type, such as lokr.")] = None,
    role: Annotated[str | None, typer.Option(help="Role in a stack, such as style.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="With this tag; give it again for entries with all of them.")
    ] = None,
    favourite: Annotated[bool | None, typer.Option(help="Only favourites, or only the others.")] = None,
    rank_min: Annotated[int | None, typer.Option(help="Rank at least.")] = None,
    rank_max: Annotated[int | None, typer.Option(help="Rank at most.")] = None,
    state: Annotated[
        str,
        typer.Option(help="present, missing, any, ok, pending, fallback, unreadable, contradiction or duplicate."),
    ] = "present",
    sort: Annotated[
        str,
        typer.Option(
            help="stable_id, filename, base, category, layout, architecture, role, adapter, rank, blocks, size, "
            "modified, added or strength; "
            "a leading - turns it round."
        ),
    ] = "stable_id",
    limit: Annotated[int, typer.Option(help="Rows at most, 1 to 500.")] = 50,
    offset: Annotated[int, typer.Option(help="Rows to leave out first.", min=0)] = 0,
    json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Find entries of the catalogue; without TEXT, all of them."""
    from lora_weights_builder.records import SearchQuery

    query = SearchQuery(
        text=text,
        base=base,
        category=category,
        layout=layout,
        architecture=architecture,
        adapter=adapter,
        role=role,
        tags=tuple(tag or ()),
        favourite=favourite,
        rank_min=rank_min,
        rank_max=rank_max,
        state=state,  # type: ignore[arg-type]  # the catalogue names the allowed values itself
        sort=sort,
        limit=limit,
        offset=offset,
    )
    with open_catalog(context, database, read_only=True) as catalog:
        page = catalog.search(query)
    if json:
        print_json(
            {
                "results": [dataclasses.asdict(row) for row in page.rows],
                "count": len(page.rows),
                "total": page.total,
                "total_is_exact": page.total_is_exact,
                "limit": page.limit,
                "offset": page.offset,
            }
        )
        return
    if page.rows:
        _print_rows(stdout(), page.rows)
    total = f"{page.total}" if page.total_is_exact else f"about {page.total}"
    message(f"{len(page.rows)} of {total} entries.")


def _print_rows(console: Console, rows: tuple[LoraRow, ...]) -> None:
    from lora_weights_builder.cli import block_chart

    glyphs = block_chart.UNICODE if draws_unicode(console) else block_chart.ASCII
    id_width = max(len(row.stable_id) for row in rows)
    layout_width = max(len(row.block_layout or "-") for row in rows)
    adapter_width = max(len(_adapter(row)) for row in rows)
    for row in rows:
        profile = block_chart.sparkline(row.weights or (), _PROFILE_WIDTH, glyphs)
        line = (
            f"{row.stable_id:<{id_width}}  {profile:<{_PROFILE_WIDTH}}  {row.block_layout or '-':<{layout_width}}  "
            f"{_adapter(row):<{adapter_width}}  {shown(row.lora_name)}{_remark(row)}"
        )
        console.out(line, highlight=False)


def _adapter(row: LoraRow) -> str:
    kinds = "+".join(row.adapter_types) or "-"
    return f"{kinds} {row.rank}" if row.rank is not None else kinds


def _remark(row: LoraRow) -> str:
    remarks = [
        "missing" if row.state == "missing" else None,
        f"duplicate of {row.duplicate_of}" if row.duplicate_of else None,
        f"failed: {row.error.removeprefix(f'{row.file_path}: ')}" if row.error else None,
        "not measured" if row.fallback and not row.error else None,
    ]
    said = "; ".join(remark for remark in remarks if remark)
    return f"  [{shown(said)}]" if said else ""
