"""One entry of the library, and lists of them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from lora_weights_builder.api.answers import blocks_answer, lora_detail, modules_json, search_json
from lora_weights_builder.api.block_schemas import BlocksAnswer, ModulesAnswer
from lora_weights_builder.api.deps import CatalogDep
from lora_weights_builder.api.schemas import DirectedSortKey, LoraDetail, SearchAnswer
from lora_weights_builder.builder.measured_csv import blocks_csv
from lora_weights_builder.errors import NotFound
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.records import LoraDetail as CatalogDetail
from lora_weights_builder.records import SearchQuery, StateFilter

router = APIRouter(prefix="/api/lora", tags=["library"])

NO_NUL = r"^[^\x00]*$"  # no text of the library holds one, and PostgreSQL refuses it
StableId = Annotated[str, Path(max_length=128, description="An entry's stable id.", examples=["FLX-CLT-057"])]
BlockIndex = Annotated[
    int | None, Query(ge=0, le=100_000, description="Only the modules of this block, by its position in the layout.")
]
Text = Annotated[str, Field(max_length=200, pattern=NO_NUL)]
MAX_RANK = 999_999_999
Flag = Literal["", "ALL", "0", "1", "true", "false"]
_FLAGS: dict[Flag, bool | None] = {"": None, "ALL": None, "0": False, "false": False, "1": True, "true": True}


class SearchParams(BaseModel):
    """The filters of a search. `ALL` or an empty value means any."""

    search: Text = Field(
        "", description="Literal text in file name, path, id, title, trigger words or names in sidecars."
    )
    base: Text = Field("", description="Base-model code, such as `FLX`.")
    category: Text = Field("", description="Category code, such as `CLT`.")
    layout: Text = Field("", description="Layout id, in any spelling the registry knows.")
    architecture: Text = Field("", description="Architecture id, such as `flux1`.")
    adapter: Text = Field("", description="Adapter type, such as `lokr`.")
    role: Text = Field("", description="Role in a stack, such as `style`.")
    has_blocks: Flag = Field("", description="`1`: only measured entries; `0`: only those without measured blocks.")
    favourite: Flag = Field("", description="`1`: only favourites; `0`: only the others.")
    tag: list[Text] = Field([], max_length=10, description="Only entries with this tag; given again, with all of them.")
    rank: str = Field(
        "",
        pattern=r"^(|[Aa][Ll][Ll]|[0-9]{1,9}(-[0-9]{0,9})?)$",
        description="A rank or a range of ranks, both ends included: `16`, `9-16`, `129-`.",
    )
    rank_min: int | None = Field(None, ge=0, le=MAX_RANK)
    rank_max: int | None = Field(None, ge=0, le=MAX_RANK)
    state: StateFilter = Field(
        "present",
        description="`ok`: nothing to report; `failed` is the earlier name of `unreadable`; `missing` and `any` also "
        "list entries whose file is gone.",
    )
    sort: DirectedSortKey = "stable_id"
    limit: int = Field(50, ge=1, le=500)
    offset: int = Field(0, ge=0, le=100_000_000)
    cursor: str = Field(
        "",
        max_length=2000,
        pattern=NO_NUL,
        description="`next_cursor` of the page before, with the same filters and sort; replaces `offset`.",
    )
    facets: Flag = Field("", description="`1` adds the values each filter can take, with counts.")

    def query(self) -> SearchQuery:
        """The same, as the library asks it."""
        layout = self.layout
        low, high = self._ranks()
        return SearchQuery(
            text=self.search,
            base=self.base.upper() or None,
            category=self.category.upper() or None,
            layout=registry().normalise_layout(layout) or layout or None,
            architecture=self.architecture or None,
            adapter=self.adapter or None,
            role=self.role or None,
            has_blocks=_FLAGS[self.has_blocks],
            favourite=_FLAGS[self.favourite],
            tags=tuple(tag for tag in self.tag if tag and tag.upper() != "ALL"),
            rank_min=low,
            rank_max=high,
            state=self.state,
            sort=self.sort,
            limit=self.limit,
            offset=self.offset,
            cursor=self.cursor or None,
        )

    def _ranks(self) -> tuple[int | None, int | None]:
        """The ranks that `rank`, `rank_min` and `rank_max` all allow."""
        if not self.rank or self.rank.upper() == "ALL":
            return self.rank_min, self.rank_max
        first, dash, last = self.rank.partition("-")
        low, high = int(first), int(last) if last else None if dash else int(first)
        lows = [value for value in (low, self.rank_min) if value is not None]
        highs = [value for value in (high, self.rank_max) if value is not None]
        return max(lows), min(highs, default=None)


@router.get("/search", response_model=SearchAnswer)
def search(params: Annotated[SearchParams, Query()], catalog: CatalogDep) -> Response:
    """Entries that match, a page at a time. Missing files are left out unless `state` asks for them."""
    query = params.query()
    facets = catalog.facets(query) if _FLAGS[params.facets] else None
    return Response(search_json(catalog.search(query), facets), media_type="application/json")


@router.get("/catalog", response_model=SearchAnswer, deprecated=True)
def catalog_alias(params: Annotated[SearchParams, Query()], catalog: CatalogDep) -> Response:
    """The earlier name of `/api/lora/search`."""
    return search(params, catalog)


@router.get("/{stable_id}")
def get_lora(stable_id: StableId, catalog: CatalogDep) -> LoraDetail:
    """Everything known of one entry."""
    return lora_detail(find(catalog, stable_id))


@router.get("/{stable_id}/blocks")
def get_blocks(stable_id: StableId, catalog: CatalogDep) -> BlocksAnswer:
    """The measured blocks of one entry, or the neutral fallback with its reason."""
    return blocks_answer(find(catalog, stable_id))


@router.get("/{stable_id}/modules", response_model=ModulesAnswer)
def get_modules(stable_id: StableId, catalog: CatalogDep, block_index: BlockIndex = None) -> Response:
    """What is known of each module of one entry: size, rank, singular values. `measured` false: of none."""
    return Response(modules_json(find(catalog, stable_id), block_index), media_type="application/json")


@router.get(
    "/{stable_id}/export",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The measured blocks."}},
)
def export_blocks(stable_id: StableId, catalog: CatalogDep) -> Response:
    """The measured blocks as CSV (`block_index,weight,raw_strength`, 6 decimals), as a download."""
    detail = find(catalog, stable_id)
    shown = blocks_answer(detail)
    if not shown.has_block_weights:
        raise NotFound(
            f"Nothing was measured for {stable_id!r}, so there is nothing to export: "
            f"{shown.fallback_reason or detail.row.error or 'it has no block weights'}.",
            subject=stable_id,
        )
    name = re.sub(r"[^A-Za-z0-9_-]", "_", stable_id)
    return Response(
        blocks_csv(shown.blocks),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}_blocks.csv"'},
    )


def find(catalog: Catalog, stable_id: str) -> CatalogDetail:
    """The entry of this id.

    Raises:
        NotFound: there is none.
    """
    detail = catalog.detail(stable_id)
    if detail is None:
        raise NotFound(f"No entry has the id {stable_id!r}. `GET /api/lora/search` lists them.", subject=stable_id)
    return detail
