"""Is the catalogue sound, and which entries should a person look at? The one repair here: to forget a missing entry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from lora_weights_builder.api.check_schemas import (
    Check,
    ChecksAnswer,
    Contradiction,
    ContradictionsAnswer,
    DuplicateGroup,
    DuplicatesAnswer,
    ForgetAnswer,
)
from lora_weights_builder.api.deps import CatalogDep
from lora_weights_builder.api.routers.lora import StableId
from lora_weights_builder.api.schemas import LoraRow
from lora_weights_builder.library import findings, smoke_check
from lora_weights_builder.library.check_explanations import EXPLANATIONS

router = APIRouter(prefix="/api", tags=["health"])

Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]


@router.get("/checks")
def checks(catalog: CatalogDep) -> ChecksAnswer:
    """The questions of `lwb check`, asked now: seconds for a large library, most of them to read the whole database."""
    results = smoke_check.run(catalog)
    return ChecksAnswer(
        checks=[
            Check(
                title=result.title,
                explanation=EXPLANATIONS.get(result.title, ""),
                value=result.value,
                passed=result.passed,
                detail=result.detail,
            )
            for result in results
        ],
        passed=all(result.passed for result in results),
    )


@router.get("/checks/duplicates")
def duplicates(catalog: CatalogDep, limit: Limit = 20, offset: Offset = 0) -> DuplicatesAnswer:
    """Entries with the same content, a group each, the one that came first in front."""
    groups, total = findings.duplicates(catalog, limit, offset)
    return DuplicatesAnswer(
        groups=[
            DuplicateGroup(
                content_hash=group[0].content_hash or "", entries=[LoraRow.model_validate(row) for row in group]
            )
            for group in groups
            if group
        ],
        count=len(groups),
        total=total,
    )


@router.get("/checks/contradictions")
def contradictions(catalog: CatalogDep, limit: Limit = 50, offset: Offset = 0) -> ContradictionsAnswer:
    """Entries whose tensors, metadata, name and folder disagree."""
    found, total = findings.contradictions(catalog, limit, offset)
    return ContradictionsAnswer(
        results=[
            Contradiction(
                stable_id=row.stable_id,
                filename=row.filename,
                lora_name=row.lora_name,
                statements=findings.statements(row),
            )
            for row in found
        ],
        count=len(found),
        total=total,
    )


@router.post("/lora/{stable_id}/forget")
def forget(stable_id: StableId, catalog: CatalogDep) -> ForgetAnswer:
    """Drop a missing entry from the catalogue. 409 where its file is present; the id is never given to another."""
    catalog.forget(stable_id)
    return ForgetAnswer(status="forgotten", stable_id=stable_id)
