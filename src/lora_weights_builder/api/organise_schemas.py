"""The JSON of what a person says of entries: the change that is sent, and the answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lora_weights_builder.api.base_schema import ApiModel, example
from lora_weights_builder.library.organise import MAX_IDS, MAX_NOTES, MAX_TAG, MAX_TAGS, Change
from lora_weights_builder.records import Choosable

NO_CONTROL = r"^[^\x00-\x1f\x7f]*$"
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG, pattern=NO_CONTROL)]
Code = Annotated[str, Field(min_length=1, max_length=64, pattern=NO_CONTROL)]


class OrganiseRequest(BaseModel):
    """What to change about an entry. What is absent or null stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"favourite": True, "add_tags": ["winter"], "category": "CLT"}]}
    )

    favourite: bool | None = Field(None, strict=True)
    notes: str | None = Field(None, max_length=MAX_NOTES, description="In place of the notes there are; empty: none.")
    tags: list[Tag] | None = Field(None, max_length=MAX_TAGS, description="In place of the tags there are.")
    add_tags: list[Tag] = Field([], max_length=MAX_TAGS)
    remove_tags: list[Tag] = Field([], max_length=MAX_TAGS)
    base: Code | None = Field(None, description="Base-model code, such as `FLX`. The stable id does not change.")
    category: Code | None = Field(None, description="Category code; brings its role, unless a role is set by hand.")
    role: Code | None = Field(None, description="Role in a stack, such as `style`.")
    reset: list[Choosable] = Field(
        [], max_length=8, description="What to show again as files and folders say, instead of as it was set by hand."
    )

    def change(self) -> Change:
        """The same, as the library takes it."""
        return Change(
            favourite=self.favourite,
            notes=self.notes,
            tags=None if self.tags is None else tuple(self.tags),
            add_tags=tuple(self.add_tags),
            remove_tags=tuple(self.remove_tags),
            base=self.base,
            category=self.category,
            role=self.role,
            reset=frozenset(self.reset),
        )


class OrganiseManyRequest(OrganiseRequest):
    """One change to many entries."""

    ids: list[Annotated[str, Field(max_length=128)]] = Field(
        min_length=1, max_length=MAX_IDS, description="Stable ids. Where one is unknown nothing is changed."
    )


class OrganiseAnswer(ApiModel):
    """How many entries were changed: all that were named."""

    model_config = example({"status": "success", "count": 12})

    status: Literal["success"]
    count: int


class Category(ApiModel):
    """A category of the library's conventions."""

    code: str
    name: str
    number: int = Field(description="The number that its folders begin with.")
    role: str = Field(description="Role of its entries, unless another is set.")


class BaseChoice(ApiModel):
    """A base model that an entry may be given."""

    code: str
    name: str


class ChoicesAnswer(ApiModel):
    """What base model, category and role may be set to."""

    model_config = example(
        {
            "bases": [{"code": "FLX", "name": "FLUX"}],
            "categories": [{"code": "CLT", "name": "Clothing", "number": 8, "role": "clothing"}],
            "roles": ["character", "style", "other"],
        }
    )

    bases: list[BaseChoice]
    categories: list[Category]
    roles: list[str]


class SearchRequest(BaseModel):
    """A search to keep."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Big coats", "query": "search=coat&rank_min=64"}]}
    )

    name: str = Field(min_length=1, max_length=100, pattern=NO_CONTROL)
    query: str = Field(max_length=4000, pattern=NO_CONTROL, description="The query string of the library page.")


class SavedSearch(ApiModel):
    """A search that somebody wants to find again."""

    model_config = example(
        {"id": 3, "name": "Big coats", "query": "search=coat&rank_min=64", "created_at": "2026-05-05T08:00:00Z"}
    )

    id: int
    name: str
    query: str
    created_at: str


class SavedSearchesAnswer(ApiModel):
    """The saved searches, by name."""

    searches: list[SavedSearch]
    count: int


class SearchDeletedAnswer(ApiModel):
    """The search is gone."""

    model_config = example({"status": "deleted", "id": 3})

    status: Literal["deleted"]
    id: int
