"""What lies beside a LoRA file, as answers show it. All text in here is foreign and plain: show it as text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lora_weights_builder.api import examples
from lora_weights_builder.api.base_schema import ApiModel, example

SidecarField = Literal[
    "trigger_words",
    "base_model",
    "model_name",
    "model_id",
    "version_name",
    "version_id",
    "description",
    "tags",
    "sha256",
]


class SidecarFile(ApiModel):
    """A file of another program beside the LoRA."""

    name: str
    program: str = Field(description="Whose files are named like this.")
    problem: str | None = Field(description="Why nothing could be read from it.")


class Sidecar(ApiModel):
    """What files beside the LoRA claim about it. Nothing else in an answer rests on these claims."""

    model_config = example(examples.SIDECAR)

    trigger_words: list[str]
    base_model: str | None = Field(description="The claimed base model, verbatim; `base_model_code` does not use it.")
    model_name: str | None
    model_id: int | None
    version_name: str | None
    version_id: int | None
    description: str | None = Field(description="Plain text; markup of the page it is from has been taken out.")
    tags: list[str]
    sha256: str | None = Field(description="The claimed SHA-256 of the whole file, hex.")
    sha256_matches: bool | None = Field(
        description="Whether the claimed hash is the file's own; null until both are known. False: they describe"
        " another version of the file."
    )
    said_by: dict[SidecarField, str] = Field(description="For each fact that is known, the file that says it.")
    files: list[SidecarFile] = Field(description="The files that were read, the most trusted first.")


class Preview(ApiModel):
    """The image beside the LoRA."""

    model_config = example(examples.PREVIEW)

    url: str = Field(description="Where this server gives the image; 404 where it can be shown no longer.")
    file: str = Field(description="Its name, in the folder of the LoRA.")
