"""Finds what a module name can mean, in one look-up whatever the number of architectures.

A name's first standalone number becomes ``#`` (``double_blocks_#_img_attn_qkv`` at 7); what is left is looked up whole.
So a name is never searched for marks, and the cost of a file does not grow with the registry.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
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

Shapes = tuple[tuple[int, ...], ...]


class Slot(NamedTuple):
    """One weight of one architecture (or text encoder)."""

    kind: PlaceKind
    block_index: int | None
    canonical: str
    shapes: Shapes


class Meaning:
    """What one architecture makes of a template: number in the name -> weight.

    ``in_blocks`` says that the template is that of a block, so that a number without a weight is one that the model
    does not have. Weights are only made when they are asked for: a process meets few of the many that are known.
    """

    __slots__ = ("_made", "_numbers", "dialect", "in_blocks", "owner")

    def __init__(self, owner: str, dialect: str) -> None:
        self.owner = owner
        self.dialect = dialect
        self.in_blocks = False
        self._numbers: dict[int, tuple[Spelling, int]] = {}  # number in the name -> spelling, number in the spelling
        self._made: dict[int, Slot] = {}

    def slot(self, number: int) -> Slot | None:
        """The weight at a number of the template, ``None`` where the model has none there."""
        made = self._made.get(number)
        if made is None and number in self._numbers:
            made = self._made[number] = _slot(*self._numbers[number])
        return made

    def shapes_at(self, number: int) -> Shapes | None:
        """The shapes that the weight at a number may have, without making it; ``None`` where there is no weight."""
        known = self._numbers.get(number)
        return known[0].shapes if known else None

    def add(self, spelling: Spelling, numbers: dict[int, int]) -> None:
        """Let a spelling stand at some numbers of the template.

        Raises:
            RegistryError: another weight stands at one of them.
        """
        self.in_blocks = self.in_blocks or spelling.first_block is not None
        for number, own in numbers.items():
            known = self._numbers.setdefault(number, (spelling, own))
            if known[0] is not spelling and _slot(*known) != _slot(spelling, own):
                message = f"{self.owner!r} gives the name {spelling.template!r} to two weights."
                raise RegistryError(message, subject=self.owner)


_NOTHING: Final[Mapping[str, Meaning]] = {}


class TemplateIndex:
    """Template -> its meanings, one an architecture."""

    def __init__(self, owners: Iterable[tuple[str, tuple[Spelling, ...]]]) -> None:
        tables: dict[str, dict[str, Meaning]] = {}
        for owner, spellings in owners:
            for spelling in spellings:
                for template, numbers in _templates(spelling):
                    meanings = tables.setdefault(template, {})
                    if owner not in meanings:
                        meanings[owner] = Meaning(owner, spelling.dialect)
                    meanings[owner].add(spelling, numbers)
        self._meanings: Mapping[str, Mapping[str, Meaning]] = tables

    def meanings_of(self, template: str) -> Mapping[str, Meaning]:
        """Architecture (or text encoder) -> what it makes of a template."""
        return self._meanings.get(template, _NOTHING)

    def look_up(self, module: str) -> tuple[Mapping[str, Meaning], int]:
        """The meanings of a folded module name, and the number in it (``NO_NUMBER`` where it has none)."""
        template, number = split(module)
        return self.meanings_of(template), number


def split(module: str) -> tuple[str, int]:
    """``double_blocks_7_img_mlp_0`` -> (``double_blocks_#_img_mlp_0``, 7)."""
    match = _NUMBER.search(module)
    if match is None:
        return module, NO_NUMBER
    return f"{module[: match.start()]}#{module[match.end() :]}", int(match[0])


def _templates(spelling: Spelling) -> Iterator[tuple[str, dict[int, int]]]:
    """The templates of a spelling, each with the numbers it takes and what they are in the spelling."""
    folded = spelling.template.replace(".", "_")
    first, _, _ = folded.partition("{i}")
    if spelling.indices and _BLOCK_NUMBER.search(folded) and not _NUMBER.search(first):
        yield folded.replace("{i}", "#"), dict(zip(spelling.indices, spelling.indices, strict=True))
        return
    # A weight that exists once, or a block's number that is not the name's first ("blocks.block7.blocks.0"): by name.
    for number in spelling.indices or (0,):
        template, first_number = split(folded.replace("{i}", str(number)))
        yield template, {first_number: number}


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


def is_matrix(shapes: Shapes) -> bool:
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
