"""Finds the two halves of a LoRA that comes in two files: names alike but for the word that says which half it is.

Pure: entries in, links out, the same for the same entries in any order. Which words mean which half is data of the
registry (marks with ``paired_words``). What does not belong here: SQL (``pair_store``), and what a single file's name
says of its model (``inspector/model_hints``).

A half is told from its variant, which the inspector read from metadata and name, else from a word that means something
only because the other half stands beside it: ``x_h`` and ``x_l``, or ``high/x`` and ``low/x``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, NamedTuple

from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.registry_model import Mark

_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEPARATORS: Final = re.compile(r"[\s_.-]+")
_BESIDE: Final = 0  # in the same folder
_ACROSS: Final = 1  # in folders side by side


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an entry's partner is sought by. ``rel_path`` is POSIX, below the root."""

    id: int
    root_id: int
    rel_path: str
    architecture: str
    rank: int | None
    variant: str | None


class Link(NamedTuple):
    """The partner of an entry, and which half the entry itself is."""

    partner: int
    noise: str


class _Reading(NamedTuple):
    """A name without the word that says which half it is."""

    noise: str
    rest: str


@dataclass(frozen=True, slots=True, eq=False)
class _Halves:
    """The two marks of a family that make a pair. ``foreign`` are variants of models that have no halves."""

    marks: tuple[Mark, Mark]
    foreign: frozenset[str]


def paired_architectures() -> tuple[str, ...]:
    """The architectures whose LoRAs can come in two files."""
    return tuple(one.id for one in registry().architectures.values() if _halves_of(one.id))


def pair_up(candidates: Iterable[Candidate]) -> dict[int, Link]:
    """Link entries of one root, architecture and rank whose names differ only in the word for the half.

    Partners in the same folder come before those in folders side by side. Where several would do, the first by path
    take each other.

    Returns:
        Links by entry; each is mutual, and no entry has two.
    """
    groups: dict[tuple[object, ...], dict[str, list[Candidate]]] = {}
    for one in candidates:
        for place, noise in _places(one):
            key = (*place, one.architecture, -1 if one.rank is None else one.rank)
            groups.setdefault(key, {}).setdefault(noise, []).append(one)
    links: dict[int, Link] = {}
    for _, sides in sorted(item for item in groups.items() if len(item[1]) == 2):
        (first, ones), (second, others) = sorted(sides.items())
        free = [sorted({(c.rel_path, c.id) for c in side if c.id not in links}) for side in (ones, others)]
        for (_, one_id), (_, other_id) in zip(*free, strict=False):
            if one_id != other_id and one_id not in links and other_id not in links:
                links[one_id], links[other_id] = Link(other_id, first), Link(one_id, second)
    return links


def _places(one: Candidate) -> Iterator[tuple[tuple[object, ...], str]]:
    """Where a partner would be found, once the word is taken out of the name or of a folder: (place, which half)."""
    halves = _halves_of(one.architecture)
    if halves is None:
        return
    *folders, filename = one.rel_path.split("/")
    stem = filename.rpartition(".")[0] or filename
    variants = frozenset((one.variant or "").split())
    told = next((mark.variant for mark in halves.marks if mark.variant in variants), None)
    vague = not variants & halves.foreign

    def read(name: str) -> list[_Reading]:
        return [found for found in _readings(halves, name, vague) if told in (None, found.noise)]

    in_name = read(stem)
    for noise, rest in in_name:
        yield (_BESIDE, one.root_id, tuple(folders), rest), noise
    for number, folder in enumerate(folders):
        for noise, left in read(folder):
            place = (*folders[:number], f"/{left}", *folders[number + 1 :])  # "/" is in no folder's name
            rests = {_plain(stem)} | {rest for said, rest in in_name if said == noise}
            for rest in sorted(rests):
                yield (_ACROSS, one.root_id, place, rest), noise


@cache
def _halves_of(architecture: str) -> _Halves | None:
    known = registry().architectures.get(architecture)
    marks = [mark for mark in registry().marks if known and mark.family == known.family]
    halves = [mark for mark in marks if mark.paired_words is not None]
    if len(halves) != 2:
        return None
    needed = {mark.of for mark in halves}
    axes = {mark.axis for mark in marks if mark.variant in needed}
    foreign = frozenset(mark.variant for mark in marks if mark.axis in axes and mark.variant not in needed)
    return _Halves((halves[0], halves[1]), foreign)


@lru_cache(maxsize=4096)  # folders come again and again
def _readings(halves: _Halves, name: str, vague: bool) -> tuple[_Reading, ...]:
    """The name without its word, for each word in it; ``vague`` ones only where no other is."""
    # "xHighNoise" has its word only once it is taken apart, but "WanT2V" must stay what "want2v" is.
    texts = list(dict.fromkeys(text.lower().replace("_", " ") for text in (name, _HUMP.sub(" ", name))))
    for text in texts:
        found = [
            _Reading(mark.variant, _plain(mark.words.sub(" ", text)))
            for mark in halves.marks
            if mark.words is not None and mark.words.search(text)
        ]
        if found:
            return tuple(found)
    for text in texts if vague else ():
        found = [
            _Reading(mark.variant, _plain(f"{text[: word.start()]} {text[word.end() :]}"))
            for mark in halves.marks
            if mark.paired_words is not None
            for word in mark.paired_words.finditer(text)
        ]
        if found:
            return tuple(found)
    return ()


def _plain(name: str) -> str:
    return _SEPARATORS.sub(" ", name.lower()).strip()
