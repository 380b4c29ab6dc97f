"""The JSON of what the registry says: layouts, architectures, base models. The rules of ``schemas`` hold here, too."""

from __future__ import annotations

from pydantic import Field

from lora_weights_builder.api.base_schema import ApiModel, example


class LayoutGroup(ApiModel):
    """A run of like blocks within a layout."""

    key: str
    title: str
    abbreviation: str
    start: int = Field(description="block_index of its first block.")
    count: int


class LayoutBlock(ApiModel):
    """One place of a layout."""

    block_index: int
    label: str
    group: str
    group_index: int


class Layout(ApiModel):
    """An ordered list of blocks that one or more architectures share."""

    model_config = example(
        {
            "id": "flux_double_19", "title": "Flux, double blocks only", "family": "flux", "kind": "double",
            "block_count": 19, "legacy": False, "part_of": "flux_unet_57", "encoders": [], "architectures": ["flux1"],
            "groups": [{"key": "double", "title": "Double blocks", "abbreviation": "D", "start": 0, "count": 19}],
            "blocks": [{"block_index": 0, "label": "D00", "group": "double", "group_index": 0}],
        }
    )  # fmt: skip

    id: str
    title: str
    family: str
    kind: str
    block_count: int
    legacy: bool = Field(description="Readable, but never written anew.")
    part_of: str | None = Field(description="The layout of the whole stack, where this one shows some of its groups.")
    encoders: list[str] = Field(description="The text encoders whose layers are the blocks, if they are.")
    architectures: list[str]
    groups: list[LayoutGroup]
    blocks: list[LayoutBlock]


class LayoutsAnswer(ApiModel):
    """The registry's layouts."""

    layouts: list[Layout]
    count: int


class Architecture(ApiModel):
    """A model architecture that files are recognised as."""

    model_config = example(
        {
            "id": "flux1", "name": "Flux.1", "family": "flux", "layout_id": "flux_unet_57",
            "layouts": ["flux_unet_57", "flux_double_19", "flux_transformer_38"], "base_code": "FLX", "block_count": 57,
        }
    )  # fmt: skip

    id: str
    name: str
    family: str
    layout_id: str = Field(description="The layout of its whole stack.")
    layouts: list[str] = Field(description="Every layout its files can have.")
    base_code: str
    block_count: int


class ArchitecturesAnswer(ApiModel):
    """All architectures of the registry."""

    architectures: list[Architecture]
    count: int


class ModelFamily(ApiModel):
    """A base model as the library's folders name it."""

    code: str
    display_name: str
    folder_name: str
    folder_names: list[str] = Field(description="Every folder name it is known by, the usual one first.")
    family: str | None
    support_level: str
    requires_layout: bool
    fallback_layout: str | None = Field(description="Shown, unmeasured, for its rows that could not be measured.")
    architectures: list[str]
    capabilities: dict[str, bool]


class ModelFamiliesAnswer(ApiModel):
    """All base models."""

    families: list[ModelFamily]
    count: int
