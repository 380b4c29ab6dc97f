"""The JSON of an entry's blocks and modules: what each of them changes, and how much of it a lower rank would keep.

The rest of the wire, and the rules for all of it, are in ``schemas.py``.
"""

from __future__ import annotations

from pydantic import Field

from lora_weights_builder.api import examples
from lora_weights_builder.api.base_schema import ApiModel, example
from lora_weights_builder.records import AdapterType, StrengthKind

_UNKNOWN = "null where the file was not measured, or by a version that did not ask"


class EnergyRank(ApiModel):
    """The smallest rank to which every module can be cut so that so many percent of the squared change stay."""

    model_config = example({"90": 6, "95": 9, "99": 15})

    at_90: int | None = Field(alias="90")
    at_95: int | None = Field(alias="95")
    at_99: int | None = Field(alias="99", description="Null where the singular values known do not reach so far.")


class Block(ApiModel):
    """One block of an entry, in the layout's order."""

    model_config = example(examples.BLOCK)

    block_index: int = Field(description="Position in the layout.")
    label: str | None
    group: str | None
    weight: float = Field(description="raw_strength / the file's largest, 0..1; neutral 1.0 in a fallback.")
    raw_strength: float | None = Field(description="Frobenius norm of the block's change; null if unmeasured.")
    present: bool = Field(description="False where the file holds nothing for this block.")
    rank: int | None = Field(description="The most common rank of the block's modules.")
    alpha: float | None = Field(description="The most common alpha of the block's modules.")
    parameters: int | None = Field(description=f"Numbers stored for the block; {_UNKNOWN}.")
    rms_change: float | None = Field(description="Change of a typical single weight: raw_strength / sqrt(elements).")
    stable_rank: float | None = Field(description="Squared Frobenius norm / the largest singular value squared.")
    energy_rank: EnergyRank | None = Field(description="Null where no singular values are known.")
    singular_values: list[float] | None = Field(
        description=f"The largest 16 of the block's modules put side by side, largest first; {_UNKNOWN}."
    )
    modules: int | None = Field(description=f"Modules of the block that count into its strength; {_UNKNOWN}.")


class BlocksAnswer(ApiModel):
    """The measured blocks of an entry, or the neutral fallback with its reason."""

    stable_id: str
    has_block_weights: bool
    block_layout: str | None
    block_count: int
    fallback: bool
    fallback_reason: str | None
    blocks: list[Block]
    validation_warnings: list[str]


class Module(ApiModel):
    """One module that a file changes."""

    model_config = example(examples.MODULE)

    part: str = Field(description="`model`, `model_2` (a second expert), or a text encoder: `te`, `te1` ...")
    module: str = Field(description="Its name in the file, without prefix and role, every dot an underscore.")
    canonical: str = Field(description="The weight in the architecture's own spelling; `#k` for a slice of its rows.")
    block_index: int | None = Field(description="Position in the layout; null outside blocks.")
    label: str | None
    kind: AdapterType
    strength_kind: StrengthKind
    norm: float | None = Field(description="Frobenius norm of its change; null if it could not be measured.")
    rms_change: float | None
    rank: int | None
    alpha: float | None
    parameters: int = Field(description="Numbers stored for it.")
    stable_rank: float | None
    energy_rank: EnergyRank | None
    singular_values: list[float] = Field(description="Of its change, largest first.")
    complete: bool = Field(description="Whether `singular_values` are all that are not zero.")
    counted: bool = Field(description="False where its block's sum leaves it out: spelled twice, or of another kind.")


class ModulesAnswer(ApiModel):
    """The modules of an entry, or of one of its blocks."""

    stable_id: str
    block_layout: str | None
    measured: bool = Field(description="False where nothing is known of the file's modules, as of unreadable files.")
    modules: list[Module]
    count: int
    validation_warnings: list[str]
