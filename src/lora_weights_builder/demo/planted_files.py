"""What a recipe comes to: the layout and block strengths to be found in the file, and the tensors that make it so.

The numbers follow from the recipe and the registry alone; nothing is measured here, so that a measurement can be
compared with them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from lora_weights_builder.demo import planted_factors as factors
from lora_weights_builder.demo.library_plan import Recipe
from lora_weights_builder.demo.module_tables import NamedModule, block_modules, encoder_modules, encoder_of
from lora_weights_builder.demo.planted_factors import Draw, Factor, StoredTensor
from lora_weights_builder.demo.strength_profiles import PROFILES
from lora_weights_builder.inspector.block_layouts import Layout, registry
from lora_weights_builder.records import AdapterType, StrengthKind

ENCODER_STRENGTH: Final = 0.2  # of the strongest encoder layer, in parts of the recipe's peak
_LOKR_FACTOR: Final = 16
_LEFT_OUT: Final = "-"
# Trainers give plain LoRA to the attention of a UNet only; its convolutions are LoCon's.
_UNET_ATTENTION: Final = ("transformer_blocks.", ".proj_in", ".proj_out")

_ADAPTER_TYPES: Final[Mapping[str, tuple[AdapterType, ...]]] = MappingProxyType(
    {
        "lora": ("lora",),
        "locon": ("locon", "lora"),  # its linear modules are plain LoRA
        "loha": ("loha",),
        "lokr": ("lokr",),
        "dora": ("dora", "lora"),
        "full": ("full",),
    }
)
_PEFT_SUFFIXES: Final = MappingProxyType({"lora_down": "lora_A.weight", "lora_up": "lora_B.weight"})
_KOHYA_SUFFIXES: Final = MappingProxyType({"lora_down": "lora_down.weight", "lora_up": "lora_up.weight"})


@dataclass(frozen=True, slots=True)
class Planted:
    """What an inspection of a recipe's file must find.

    ``strengths`` are raw strengths by the layout's block index; blocks that are not in it are absent from the file.
    ``encoder_modules`` is the number of adapted modules of text encoders.
    """

    layout: str
    adapter_types: tuple[AdapterType, ...]
    rank: int | None
    strength_kind: StrengthKind
    strengths: Mapping[int, float]
    encoder_modules: int


@cache
def planted(recipe: Recipe) -> Planted:
    """The expectations for one recipe."""
    layout = _layout(recipe)
    whole = registry().layouts[registry().architectures[recipe.architecture].layout_id]
    chosen = _chosen(recipe)
    if layout.kind == "text_encoder":
        strengths = {
            block: norm for part in recipe.encoders for block, norm in _encoder_strengths(recipe, part).items()
        }
    else:
        by_block = _strengths(recipe, chosen)
        strengths = {_position(block, whole, layout): norm for block, norm in by_block.items()}
    return Planted(
        layout=layout.id,
        adapter_types=_ADAPTER_TYPES[recipe.adapter],
        rank=None if recipe.adapter == "full" else recipe.rank,
        strength_kind="direction" if recipe.adapter == "dora" else "delta",
        strengths=MappingProxyType(strengths),
        encoder_modules=sum(len(encoder_modules(recipe.architecture, part)) for part in recipe.encoders),
    )


def tensors(recipe: Recipe) -> Iterator[StoredTensor]:
    """The file's tensors in order: text encoders, then the denoiser; the same bytes on every platform."""
    draw = Draw(recipe.path)
    for part in recipe.encoders:
        modules = encoder_modules(recipe.architecture, part)
        yield from _adapted(recipe, modules, _encoder_strengths(recipe, part), draw)
    chosen = _chosen(recipe)
    yield from _adapted(recipe, chosen, _strengths(recipe, chosen), draw)


def _adapted(
    recipe: Recipe, modules: Sequence[NamedModule], strengths: Mapping[int, float], draw: Draw
) -> Iterator[StoredTensor]:
    """Share each block's strength among its modules, unevenly, so that squares add up to the block's square."""
    members: dict[int, list[NamedModule]] = {}
    for module in modules:
        members.setdefault(module.block_index, []).append(module)
    for block, group in members.items():
        parts = [int(part) + 32 for part in draw.integers((len(group),), 31)]  # from 1 to 63
        whole = math.sqrt(sum(part * part for part in parts))
        for module, part in zip(group, parts, strict=True):
            for factor in _factors(recipe, module.weight, strengths[block] * part / whole, draw):
                yield factors.stored(f"{module.key}.{_suffix(recipe, factor.role)}", factor.values, recipe.dtype)
            if recipe.alpha is not None:
                yield factors.stored(f"{module.key}.alpha", recipe.alpha, recipe.dtype)


def _factors(recipe: Recipe, weight: factors.Weight, norm: float, draw: Draw) -> list[Factor]:
    match recipe.adapter:
        case "full":
            return factors.full(weight, norm, draw)
        case "lokr":
            return factors.lokr(weight, norm, draw, rank=recipe.rank, scale=recipe.scale, factor=_LOKR_FACTOR)
        case "loha":
            return factors.loha(weight, norm, draw, rank=recipe.rank or 1, scale=recipe.scale)
        case "dora":
            pair = factors.lora(weight, norm, draw, rank=recipe.rank or 1, scale=recipe.scale)
            return [*pair, factors.magnitude(weight, draw, per_input=recipe.naming == "onetrainer")]
        case "lora" | "locon":
            return factors.lora(weight, norm, draw, rank=recipe.rank or 1, scale=recipe.scale)


def _suffix(recipe: Recipe, role: str) -> str:
    suffixes = _PEFT_SUFFIXES if recipe.naming in ("diffusers", "comfyui") else _KOHYA_SUFFIXES
    return suffixes.get(role, role)


@cache
def _chosen(recipe: Recipe) -> tuple[NamedModule, ...]:
    """The modules of the denoiser that the file trains."""
    known = registry().architectures[recipe.architecture]
    whole = registry().layouts[known.layout_id]
    profiles = _group_profiles(recipe, whole)
    group_of = {block.index: block.group for block in whole.blocks}

    def taken(module: NamedModule) -> bool:
        if profiles[group_of[module.block_index]] is None:
            return False
        if recipe.modules:
            return any(f".{module.dotted}".endswith(f".{end}") for end in recipe.modules)
        if recipe.adapter == "locon":
            return True
        if module.weight.kernel and recipe.adapter != "lora":
            return False
        return whole.kind != "unet" or any(mark in module.dotted for mark in _UNET_ATTENTION)

    return tuple(module for module in block_modules(recipe.architecture, recipe.naming) if taken(module))


def _strengths(recipe: Recipe, chosen: Sequence[NamedModule]) -> dict[int, float]:
    """Raw strength by block index of the whole stack, for the blocks that have a module."""
    whole = registry().layouts[registry().architectures[recipe.architecture].layout_id]
    profiles = _group_profiles(recipe, whole)
    by_layout = "/" not in recipe.profile
    present = {module.block_index for module in chosen}
    counts = {group.key: group.count for group in whole.groups}
    strengths: dict[int, float] = {}
    for block in whole.blocks:
        name = profiles[block.group]
        if block.index in present and name is not None:
            place = (block.index, whole.block_count) if by_layout else (block.group_index, counts[block.group])
            strengths[block.index] = recipe.peak * PROFILES[name](*place)
    return strengths


def _encoder_strengths(recipe: Recipe, part: str) -> dict[int, float]:
    count = registry().encoders[encoder_of(recipe.architecture, part)].group.count
    profile = PROFILES[recipe.encoder_profile]
    return {layer: recipe.peak * ENCODER_STRENGTH * profile(layer, count) for layer in range(count)}


def _group_profiles(recipe: Recipe, whole: Layout) -> dict[str, str | None]:
    """Curve by group key, ``None`` for a group that is left out."""
    names = recipe.profile.split("/")
    if len(names) == 1:
        names *= len(whole.groups)
    return {group.key: None if name == _LEFT_OUT else name for group, name in zip(whole.groups, names, strict=True)}


def _layout(recipe: Recipe) -> Layout:
    """The layout that shows exactly the groups the file trains."""
    layouts = registry().layouts
    known = registry().architectures[recipe.architecture]
    whole = layouts[known.layout_id]
    groups = [key for key, name in _group_profiles(recipe, whole).items() if name is not None]
    if not groups:
        encoders = tuple(encoder_of(recipe.architecture, part) for part in recipe.encoders)
        return next(layouts[name] for name in known.layouts if layouts[name].encoders == encoders)
    if len(groups) == len(whole.groups):
        return whole
    parts = (layouts[name] for name in known.layouts if layouts[name].part_of == whole.id)
    return next((part for part in parts if [group.key for group in part.groups] == groups), whole)


def _position(block: int, whole: Layout, shown: Layout) -> int:
    """The index in ``shown`` of a block counted through ``whole``."""
    if whole.id == shown.id:
        return block
    group, group_index = next((one.group, one.group_index) for one in whole.blocks if one.index == block)
    return next(one.index for one in shown.blocks if (one.group, one.group_index) == (group, group_index))
