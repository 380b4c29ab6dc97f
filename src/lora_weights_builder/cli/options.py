"""Options that several commands share, and the settings they amount to.

``--db`` is accepted before and after the subcommand: people add it to the end of the line they already typed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lora_weights_builder.config import Settings
    from lora_weights_builder.library.catalog import Catalog

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="URL_OR_PATH",
        help="The catalogue's database (default: $LWB_DB, else lora_master.db in your data folder).",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.", show_default=False)
]
ModulesOption = Annotated[
    bool, typer.Option("--modules", help="Also every module: its size, rank and singular values.", show_default=False)
]


def settings_of(
    context: typer.Context,
    database: str | None,
    *,
    conventions: str | None = None,
    jobs: int | None = None,
    host: str | None = None,
    port: int | None = None,
    token: str | None = None,
) -> Settings:
    """Settings of this call; a ``--db`` after the subcommand wins over one before it.

    Raises:
        ConfigError: a value cannot be used.
    """
    from lora_weights_builder.config import load_settings

    above: Any = context  # the framework types a context and its parent differently
    while database is None and above is not None:
        database = above.params.get("database")
        above = above.parent
    return load_settings(
        database=database,
        conventions=conventions,
        jobs=jobs,
        host=host,
        port=port,
        token=token,
    )


def open_catalog(context: typer.Context, database: str | None, *, read_only: bool = False) -> Catalog:
    """The catalogue this call is about, migrated; the caller closes it.

    Raises:
        CatalogError: the database cannot be used.
    """
    from lora_weights_builder.library.catalog import Catalog

    return Catalog.open(settings_of(context, database).database, read_only=read_only)
