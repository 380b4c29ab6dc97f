"""What a person says of entries, and the searches they keep."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Request

from lora_weights_builder.api import organise_schemas as schemas
from lora_weights_builder.api.answers import lora_detail
from lora_weights_builder.api.deps import CatalogDep
from lora_weights_builder.api.routers.lora import StableId, find
from lora_weights_builder.api.schemas import LoraDetail
from lora_weights_builder.config import Settings
from lora_weights_builder.library.conventions import Conventions, load_conventions
from lora_weights_builder.library.organise import base_names, roles

router = APIRouter(prefix="/api", tags=["organise"])

SearchId = Annotated[int, Path(ge=1, le=(1 << 63) - 1)]


def get_conventions(request: Request) -> Conventions:
    """The conventions as they are now: whoever edits their file need not start the server again."""
    return load_conventions(cast(Settings, request.app.state.settings).conventions)


ConventionsDep = Annotated[Conventions, Depends(get_conventions)]


@router.get("/choices")
def choices(conventions: ConventionsDep) -> schemas.ChoicesAnswer:
    """What base model, category and role may be set to by hand."""
    return schemas.ChoicesAnswer(
        bases=[schemas.BaseChoice(code=code, name=name or code) for code, name in base_names(conventions).items()],
        categories=[schemas.Category.model_validate(category) for category in conventions.categories],
        roles=list(roles(conventions)),
    )


@router.patch("/lora/{stable_id}")
def organise_one(
    stable_id: StableId, body: schemas.OrganiseRequest, catalog: CatalogDep, conventions: ConventionsDep
) -> LoraDetail:
    """Change what was said of one entry; the answer is the entry as it is then."""
    catalog.organise([stable_id], body.change(), conventions)
    return lora_detail(find(catalog, stable_id))


@router.post("/lora/organise")
def organise_many(
    body: schemas.OrganiseManyRequest, catalog: CatalogDep, conventions: ConventionsDep
) -> schemas.OrganiseAnswer:
    """Make one change to many entries, or, where it cannot be made to all of them, to none."""
    return schemas.OrganiseAnswer(status="success", count=catalog.organise(body.ids, body.change(), conventions))


@router.get("/searches")
def list_searches(catalog: CatalogDep) -> schemas.SavedSearchesAnswer:
    """The saved searches, by name."""
    found = [schemas.SavedSearch.model_validate(one) for one in catalog.searches()]
    return schemas.SavedSearchesAnswer(searches=found, count=len(found))


@router.post("/searches")
def save_search(body: schemas.SearchRequest, catalog: CatalogDep) -> schemas.SavedSearch:
    """Keep a search under a name that no other has."""
    return schemas.SavedSearch.model_validate(catalog.save_search(body.name, body.query))


@router.delete("/searches/{search_id}")
def delete_search(search_id: SearchId, catalog: CatalogDep) -> schemas.SearchDeletedAnswer:
    """Drop a saved search."""
    catalog.delete_search(search_id)
    return schemas.SearchDeletedAnswer(status="deleted", id=search_id)
