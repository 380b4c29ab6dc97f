"""The JSON of the health page: the checks, and the entries that a person should look at. As in ``schemas``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lora_weights_builder.api import examples
from lora_weights_builder.api.base_schema import ApiModel, example
from lora_weights_builder.api.schemas import LoraRow


class Check(ApiModel):
    """One question of the smoke check with its answer."""

    title: str
    explanation: str = Field(description="What it asks, why it matters, and what to do where it fails.")
    value: int = Field(description="How many offenders; 0 on a healthy catalogue.")
    passed: bool
    detail: str | None = Field(description="Names offenders, or notes something.")


class ChecksAnswer(ApiModel):
    """The smoke check, as `lwb check` runs it."""

    model_config = example(
        {
            "checks": [
                {
                    "title": "Duplicate stable_id groups", "explanation": "An id names one entry.", "value": 0,
                    "passed": True, "detail": None,
                }
            ],
            "passed": True,
        }
    )  # fmt: skip

    checks: list[Check]
    passed: bool


class DuplicateGroup(ApiModel):
    """Entries with the same content, the one that came first in front."""

    content_hash: str
    entries: list[LoraRow]


class DuplicatesAnswer(ApiModel):
    """A page of the groups of entries with the same content."""

    model_config = example({"groups": [{"content_hash": "5f" * 32, "entries": [examples.ROW]}], "count": 1, "total": 1})

    groups: list[DuplicateGroup]
    count: int
    total: int


class Contradiction(ApiModel):
    """An entry that says different things of itself."""

    stable_id: str
    filename: str
    lora_name: str
    statements: list[str] = Field(description="What disagrees with what, a sentence each.")


class ContradictionsAnswer(ApiModel):
    """A page of the entries whose tensors, metadata, name and folder disagree."""

    model_config = example(
        {
            "results": [
                {
                    "stable_id": "FLX-CLT-057", "filename": "coat.safetensors", "lora_name": "FLUX/coat.safetensors",
                    "statements": ["the folder says FLUX, the tensors say SDXL"],
                }
            ],
            "count": 1, "total": 1,
        }
    )  # fmt: skip

    results: list[Contradiction]
    count: int
    total: int


class ForgetAnswer(ApiModel):
    """A missing entry was dropped from the catalogue; its id stays retired."""

    model_config = example({"status": "forgotten", "stable_id": "FLX-CLT-057"})

    status: Literal["forgotten"]
    stable_id: str
