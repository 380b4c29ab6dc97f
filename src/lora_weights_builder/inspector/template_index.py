"""Finds what a module name can mean, in one look-up whatever the number of architectures.

A name's first standalone number becomes ``#`` (``double_blocks_#_img_attn_qkv`` at 7); what is left is looked up whole.
So a name is never searched for marks, and the cost of a file does not grow with the registry.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from lora_weights_builder.errors import RegistryError
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.registry_model import Spelling
from lora_weights_builder.records import PlaceKind

_NUMBER: Final = re.compile(r"(?<![^_])\d{1,4}(?![^_])")
_BLOCK_NUMBER: Final = re.compile(r"(?<![^_])\{i\}(?![^_])")
_DIGITS: Final = re.compile(r"\d+")
NO_NUMBER: Final = -1


class Slot(NamedTuple):
    """One weight of one architecture (or text encoder)."""

    kind: PlaceKind
    block_index: int | None
    canonical: str
    shapes: tuple[tuple[int, ...], ...]


class Meaning(NamedTuple):
    """What one architecture makes of a template: number in the name -> weight.

    ``in_blocks`` says that the template is that of a block, so that a number without a weight is one that the model
    does not have.
    """

    owner: str
    dialect: str
    slots: dict[int, Slot]
    in_blocks: bool


class TemplateIndex:
    """Template -> its meanings, one an architecture."""

    def __init__(self, owners: Iterable[tuple[str, tuple[Spelling, ...]]]) -> None:
        tables: dict[str, dict[str, Meaning]] = {}
        for owner, spellings in owners:
            for spelling in spellings:
                for template, slots in _templates(spelling):
                    self._add(tables.setdefault(template, {}), owner, spelling, slots)
        self._meanings = {template: tuple(meanings.values()) for template, meanings in tables.items()}

    @staticmethod
    def _add(meanings: dict[str, Meaning], owner: str, spelling: Spelling, slots: dict[int, Slot]) -> None:
        in_blocks = spelling.first_block is not None
        known = meanings.setdefault(owner, Meaning(owner, spelling.dialect, {}, in_blocks))
        for number, slot in slots.items():
            if known.slots.setdefault(number, slot) != slot:
                message = f"{owner!r} gives the name {spelling.template!r} to two weights."
                raise RegistryError(message, subject=owner)
        if in_blocks and not known.in_blocks:
            meanings[owner] = known._replace(in_blocks=True)

    def look_up(self, module: str) -> tuple[tuple[Meaning, ...], int]:
        """The meanings of a folded module name, and the number in it (``NO_NUMBER`` where it has none)."""
        template, number = split(module)
        return self._meanings.get(template, ()), number


def split(module: str) -> tuple[str, int]:
    """``double_blocks_7_img_mlp_0`` -> (``double_blocks_#_img_mlp_0``, 7)."""
    match = _NUMBER.search(module)
    if match is None:
        return module, NO_NUMBER
    return f"{module[: match.start()]}#{module[match.end() :]}", int(match[0])


def _templates(spelling: Spelling) -> Iterator[tuple[str, dict[int, Slot]]]:
    """The templates of a spelling, each with the weight at every number."""
    folded = spelling.template.replace(".", "_")
    slots = {number: _slot(spelling, number) for number in spelling.indices or (0,)}
    first, _, _ = folded.partition("{i}")
    if spelling.indices and _BLOCK_NUMBER.search(folded) and not _NUMBER.search(first):
        yield folded.replace("{i}", "#"), slots
        return
    # A weight that exists once, or a block's number that is not the name's first ("blocks.block7.blocks.0"): by name.
    for number, slot in slots.items():
        template, first_number = split(folded.replace("{i}", str(number)))
        yield template, {first_number: slot}


def _slot(spelling: Spelling, number: int) -> Slot:
    block = None if spelling.first_block is None else spelling.first_block + number
    return Slot(spelling.kind, block, spelling.canonical.replace("{i}", str(number)), spelling.shapes)


@cache
def model_index() -> TemplateIndex:
    """The weights of all architectures."""
    return TemplateIndex((one.id, one.spellings) for one in registry().architectures.values())


@cache
def encoder_index() -> TemplateIndex:
    """The weights of all text encoders."""
    return TemplateIndex((one.id, one.spellings) for one in registry().encoders.values())


def sort_of(module: str) -> str:
    """A folded module name without its numbers: what it has in common with its likes in other blocks."""
    return _DIGITS.sub("#", module)


def is_matrix(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether a weight is one that LoRAs are made for, rather than a norm's vector or a table."""
    return any(len(shape) > 1 for shape in shapes)


@cache
def matrices_by_sort(architecture: str) -> Mapping[str, int]:
    """How many names of each sort the matrices in an architecture's blocks have, all spellings together."""
    names = {
        spelling.template.replace("{i}", str(number)).replace(".", "_")
        for spelling in registry().architectures[architecture].spellings
        if spelling.first_block is not None and is_matrix(spelling.shapes)
        for number in spelling.indices or (0,)
    }
    return Counter(sort_of(name) for name in names)
