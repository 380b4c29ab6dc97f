"""What the registry holds, as types: families, layouts, architectures, text encoders, base models, loaders, claims.

Only shapes of data stand here. The data itself is in ``registry/*.toml``, reading and checking it in
``registry_loader``, and the way to it for everyone else is :func:`block_layouts.registry`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from lora_weights_builder.records import PlaceKind

LayoutKind = Literal["transformer", "unet", "double", "single", "text_encoder", "fallback"]
Addressing = Literal["sections", "entries", "none"]


@dataclass(frozen=True, slots=True)
class Family:
    """Architectures that people know under one name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """A run of like blocks within a layout: blocks ``start`` to ``start + count - 1``."""

    key: str
    title: str
    abbreviation: str
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Block:
    """One place of a layout. ``index`` counts through the layout, ``group_index`` within the group."""

    index: int
    label: str
    group: str
    group_index: int


@dataclass(frozen=True, slots=True)
class Layout:
    """An ordered list of blocks that strengths and profiles are given for.

    ``part_of`` names the layout of the whole stack where this one shows some of its groups (single blocks only, say).
    ``encoders`` are the text encoders whose layers are the blocks, where the kind is ``text_encoder``. ``legacy``
    layouts are ids of an earlier system: valid to read, never written anew.
    """

    id: str
    family: str
    kind: LayoutKind
    title: str
    groups: tuple[Group, ...]
    architectures: tuple[str, ...] = ()
    part_of: str | None = None
    encoders: tuple[str, ...] = ()
    legacy: bool = False

    @property
    def block_count(self) -> int:
        return sum(group.count for group in self.groups)

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(
            Block(group.start + i, f"{group.abbreviation}{i:02d}", group.key, i)
            for group in self.groups
            for i in range(group.count)
        )


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one writer names one weight of an architecture.

    ``template`` holds ``{i}`` where the block's number stands, and ``indices`` the numbers it takes; both are absent
    for a weight that exists once. ``first_block`` is the layout's block index at ``{i}`` = 0 (of the weight itself
    where it exists once), ``None`` outside blocks. ``canonical`` is the native name, with ``#k`` for the k-th row slice
    of a fused weight. ``shapes`` are the base weight's possible shapes [out, in, *kernel]; empty = not checked.
    """

    dialect: str
    template: str
    canonical: str
    shapes: tuple[tuple[int, ...], ...]
    kind: PlaceKind
    indices: tuple[int, ...] = ()
    first_block: int | None = None


@dataclass(frozen=True, slots=True)
class Encoder:
    """A text encoder: a stack of layers named and shaped on its own, shared by several architectures."""

    id: str
    name: str
    group: Group
    spellings: tuple[Spelling, ...]


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model whose weights are all known by name and shape.

    ``layout_id`` is the layout of its whole stack, ``layouts`` all it can answer with. ``encoders`` says under which
    parts of a file (``te1`` ...) each of its text encoders is trained. ``base_code`` is the base model that a file gets
    when nothing else is known. ``not_written_as`` are pairs of a prefix's dialect and a spelling that no writer of it
    puts together; they tell it from relatives that are written so.
    """

    id: str
    name: str
    family: str
    layout_id: str
    layouts: tuple[str, ...]
    base_code: str
    encoders: Mapping[str, tuple[str, ...]]
    spellings: tuple[Spelling, ...]
    not_written_as: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model as libraries sort files by it. Several can share an architecture (Pony and SDXL).

    ``folders`` are the folder names it is known by, the usual one first. ``fallback_layout`` is shown, unmeasured, for
    a row of this base model that could not be measured; base models that have one may never lack a layout.
    """

    code: str
    name: str
    family: str | None
    folders: tuple[str, ...]
    architectures: tuple[str, ...]
    support_level: str
    capabilities: Mapping[str, bool]
    fallback_layout: str | None = None
    variant: str | None = None

    @property
    def requires_layout(self) -> bool:
        return self.fallback_layout is not None


@dataclass(frozen=True, slots=True)
class LoaderForm:
    """A vector that a loader takes: what each entry stands for, in order. ``within`` is the length of the form that
    this one is a short version of."""

    entries: tuple[str, ...]
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Loader:
    """A program's way of applying a LoRA, and how its vectors address blocks.

    ``sections`` are the native names of the stacks that it counts through, in its order (addressing ``sections``).
    ``places`` gives for the letters of an entry the native stack that its number counts in, ``forms`` the vectors that
    it takes (addressing ``entries``). ``capability`` is its name in a base model's capabilities, if it has one there.
    """

    id: str
    name: str
    program: str
    addressing: Addressing
    capability: str | None = None
    sections: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    forms: tuple[LoaderForm, ...] = ()


@dataclass(frozen=True, slots=True)
class AmbiguityGroup:
    """Architectures that some files cannot be told apart by. The likeliest comes first, unless all must be reported."""

    members: frozenset[str]
    prior_rank: tuple[str, ...]
    report_all: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What a value of a metadata field says: exact values, lower case, without a trailing ``/lora``."""

    fields: tuple[str, ...]
    values: frozenset[str]
    architectures: tuple[str, ...]
    base_code: str | None
    variant: str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A variant told by a word of a name or by the hash of the training checkpoint.

    ``axis`` groups variants that exclude each other; one of each axis may apply. An empty ``variant`` is the plain
    model: it says that there is none on this axis. ``words`` are looked for in every name, ``checkpoints`` only in that
    of the checkpoint trained on, where a looser pattern cannot mean something else. ``paired_words`` say something only
    where a file of the same name with the opposite word stands beside. ``base_code`` is what the mark says in metadata;
    in a file name a mark names the variant only. ``of`` is a variant of another axis, without which this one does not
    exist.
    """

    family: str
    axis: str
    variant: str
    words: re.Pattern[str] | None
    hashes: tuple[str, ...]
    base_code: str | None
    checkpoints: re.Pattern[str] | None = None
    paired_words: re.Pattern[str] | None = None
    of: str | None = None


@dataclass(frozen=True, slots=True)
class NotLora:
    """A kind of file that is no LoRA of a diffusion model, known by how its tensors are named.

    ``reason`` is the sentence for people. A kind that ``decides`` is asked before any model is looked for, because its
    modules are named like a model's once their prefix is gone.
    """

    id: str
    reason: str
    names: re.Pattern[str]
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Bundled:
    """Tensors that writers put beside a LoRA and that change no weight; ``what`` says in the plural what they are."""

    what: str
    names: re.Pattern[str]


# The ids of the earlier system carried the number of blocks that happened to be in the file.
_LEGACY_NUMBER: Final = re.compile(r"(?P<stem>[a-z0-9_]+?)_(?P<count>[1-9]\d{0,2})\Z")


@dataclass(frozen=True, slots=True)
class LegacyStem:
    """``flux_transformer_<n>`` and its like: the stem, and what such a layout is made of."""

    stem: str
    family: str
    kind: LayoutKind
    title: str
    group: Group


class LayoutTable(Mapping[str, Layout]):
    """All layouts by id. Iterating gives those in use; numbered legacy ids are made when they are asked for."""

    def __init__(self, layouts: Sequence[Layout], legacy: Sequence[LegacyStem]) -> None:
        self._layouts = {layout.id: layout for layout in layouts}
        self._legacy = {one.stem: one for one in legacy}

    def __getitem__(self, layout_id: str) -> Layout:
        if layout_id in self._layouts:
            return self._layouts[layout_id]
        numbered = _LEGACY_NUMBER.match(layout_id)
        stem = self._legacy.get(numbered["stem"]) if numbered else None
        if numbered is None or stem is None:
            raise KeyError(layout_id)
        group = Group(stem.group.key, stem.group.title, stem.group.abbreviation, 0, int(numbered["count"]))
        return Layout(layout_id, stem.family, stem.kind, stem.title, (group,), legacy=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layouts)

    def __len__(self) -> int:
        return len(self._layouts)


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything the product knows about models."""

    families: Mapping[str, Family]
    layouts: LayoutTable
    architectures: Mapping[str, Architecture]
    encoders: Mapping[str, Encoder]
    base_models: Mapping[str, BaseModel]
    ambiguity_groups: tuple[AmbiguityGroup, ...]
    claims: tuple[Claim, ...]
    marks: tuple[Mark, ...]
    not_loras: tuple[NotLora, ...]
    bundled: tuple[Bundled, ...]
    layout_aliases: Mapping[str, str] = field(default_factory=dict)
    loaders: Mapping[str, Loader] = field(default_factory=dict)

    def ambiguity_of(self, candidates: Sequence[str]) -> AmbiguityGroup | None:
        """The smallest declared group that holds all these architectures."""
        groups = [group for group in self.ambiguity_groups if group.members.issuperset(candidates)]
        return min(groups, key=lambda group: len(group.members), default=None)

    def likeliest_first(self, candidates: Sequence[str]) -> tuple[str, ...]:
        """These architectures, those with a declared order of likelihood in it, the others after them."""
        group = self.ambiguity_of(candidates)
        rank = {one: place for place, one in enumerate(group.prior_rank)} if group else {}
        return tuple(sorted(candidates, key=lambda one: rank.get(one, len(rank))))

    def normalise_layout(self, text: str | None) -> str | None:
        """The layout id that a text means: trimmed, lower case, exact in the registry or its aliases; else ``None``."""
        if text is None:
            return None
        wanted = text.strip().lower()
        wanted = self.layout_aliases.get(wanted, wanted)
        return wanted if wanted in self.layouts else None
