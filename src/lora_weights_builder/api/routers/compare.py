"""Entries beside each other."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query

from lora_weights_builder.api.compare_schemas import CompareAnswer
from lora_weights_builder.api.comparison import compare
from lora_weights_builder.api.deps import CatalogDep

router = APIRouter(prefix="/api", tags=["library"])

MAX_COMPARED: Final = 6
Ids = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=128)]],
    Query(min_length=1, max_length=MAX_COMPARED, description="Stable ids, one a parameter; repeats count once."),
]


@router.get("/compare")
def compare_entries(ids: Ids, catalog: CatalogDep) -> CompareAnswer:
    """Up to six entries aligned block by block. Those that cannot stand beside the others say why."""
    return compare({stable_id: catalog.detail(stable_id) for stable_id in dict.fromkeys(ids)})
