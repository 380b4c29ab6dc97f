"""The modules of a model under the names that a writer gives them, read off the layout registry.

The registry has one table of weights an architecture, with every spelling; here only the prefix and the flattening of
each naming are added. What does not belong here: which modules a file trains, and how strongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from lora_weights_builder.demo.library_plan import Naming
from lora_weights_builder.demo.planted_factors import Weight
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.registry_model import Spelling

# Naming -> (the registry's dialect, prefix of a UNet, prefix of a transformer, dots flattened to underscores).
_NAMINGS: Final[dict[Naming, tuple[str, str, str, bool]]] = {
    "kohya": ("native", "lora_unet_", "lora_unet_", True),
    "kohya_diffusers": ("diffusers", "lora_unet_", "lora_unet_", True),
    "onetrainer": ("diffusers", "lora_unet_", "lora_transformer_", True),
    "diffusers": ("diffusers", "unet.", "transformer.", False),
    "comfyui": ("native", "diffusion_model.", "diffusion_model.", False),
}


@dataclass(frozen=True, slots=True)
class NamedModule:
    """A module of the model: ``key`` is a tensor's name without the factor's suffix, ``dotted`` the unflattened module.

    ``block_index`` counts through the layout of the whole stack (through the layers, for a text encoder).
    """

    key: str
    dotted: str
    block_index: int
    weight: Weight


@cache
def block_modules(architecture: str, naming: Naming) -> tuple[NamedModule, ...]:
    """Every module inside the blocks, in the registry's order."""
    known = registry().architectures[architecture]
    dialect, unet, transformer, flat = _NAMINGS[naming]
    prefix = unet if registry().layouts[known.layout_id].kind == "unet" else transformer
    return tuple(_expanded(_in_dialect(known.spellings, dialect), prefix, flat))


@cache
def encoder_modules(architecture: str, part: str) -> tuple[NamedModule, ...]:
    """Every module inside the layers of a text encoder, in kohya's names; ``part`` as there: ``te``, ``te1`` ..."""
    known = registry().architectures[architecture]
    encoder = next(encoder for encoder, parts in known.encoders.items() if part in parts)
    return tuple(_expanded(_in_dialect(registry().encoders[encoder].spellings, "native"), f"lora_{part}_", True))


def encoder_of(architecture: str, part: str) -> str:
    """The registry's id of the text encoder that an architecture trains under this part."""
    known = registry().architectures[architecture]
    return next(encoder for encoder, parts in known.encoders.items() if part in parts)


def _in_dialect(spellings: Sequence[Spelling], dialect: str) -> Iterator[Spelling]:
    """One spelling a weight: the dialect's, or the native one where the dialect has none of its own."""
    spelled = {spelling.canonical.partition("#")[0] for spelling in spellings if spelling.dialect == dialect}
    names = {spelling.template for spelling in spellings}
    for spelling in spellings:
        if spelling.template.rpartition(".")[0] in names:
            continue  # some of the rows of a fused weight, which single writers name
        if spelling.dialect == dialect or (spelling.dialect == "native" and spelling.canonical not in spelled):
            yield spelling


def _expanded(spellings: Iterator[Spelling], prefix: str, flat: bool) -> Iterator[NamedModule]:
    for spelling in spellings:
        if spelling.first_block is None or not spelling.shapes or len(spelling.shapes[0]) < 2:
            continue  # outside the blocks, or a norm's vector, which these adapters leave alone
        out_features, in_features, *kernel = spelling.shapes[0]
        for number in spelling.indices or (0,):
            dotted = spelling.template.replace("{i}", str(number))
            key = prefix + (dotted.replace(".", "_") if flat else dotted)
            yield NamedModule(
                key, dotted, spelling.first_block + number, Weight(out_features, in_features, tuple(kernel))
            )
