"""Collapses modules into rows, in two steps that each keep every name exactly.

1. Modules whose names differ by one number, and that agree in everything else, become one row.
2. Rows that agree in everything but their names are cut into head and tail (``down_blocks_1_attentions_0`` and
   ``transformer_blocks_0_attn1_to_q``); heads with the same tails become one row, the product of the two.

Only the form of names counts here, no grammar and no model. What a row looks like in a file is ``capture``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

HEAD: Final = "{at}"
NUMBER: Final = "{i}"
LEAF: Final = "{leaf}"
# A number that stands alone in a name, written as people count: no leading zeros, which could not be given back.
_NUMBERS: Final = re.compile(r"(?<![^._])(?:0|[1-9]\d{0,3})(?![^._])")
# Where a name may be cut: after such a number, or after the place of one.
_CUTS: Final = re.compile(r"(?<![^._])(?:0|[1-9]\d{0,3}|\{i\})(?=[._].)")
_MAX_POSITIONS: Final = 6  # numbers of one name that are tried
_BRACES: Final = re.compile(r"[{}]")

_Alike = tuple[object, ...]
_Heads = tuple[tuple[str, str | None], ...]  # (head, label of its block)


@dataclass(frozen=True, slots=True)
class Module:
    """One module: name, (suffix, role) pairs with base shape and rank, or (suffix, shape) pairs without either.

    ``block`` is (label, abbreviation, number) of its block, ``None`` outside blocks.
    """

    name: str
    parts: tuple[tuple[str, object], ...]
    shape: tuple[int, ...] | None
    rank: int | None
    block: tuple[str, str, int] | None


@dataclass(frozen=True, slots=True)
class Row:
    """Modules told as one: ``key`` with each head in ``at``, each of ``numbers``, each of ``leaves`` put in.

    ``sample`` is the first of them; they share its parts and shape. ``ranks`` has one rank a number. ``label`` is the
    abbreviation of the blocks that ``numbers`` count; otherwise ``block`` is the label of the block that the row is of,
    and where there are several heads, each has its own in ``at``.
    """

    key: str
    sample: Module
    numbers: tuple[int, ...] = ()
    ranks: tuple[int | None, ...] = ()
    label: str | None = None
    block: str | None = None
    at: _Heads = ()
    leaves: tuple[str, ...] = ()


def collapse(modules: Sequence[Module]) -> list[Row]:
    """Rows in the order of their first modules; the same modules always give the same rows."""
    return _products(_numbered(modules))


# --- Names that differ by a number


def _numbered(modules: Sequence[Module]) -> list[Row]:
    groups: dict[tuple[str, tuple[object, ...]], list[tuple[int, int]]] = {}  # -> (number, index of the module)
    for index, module in enumerate(modules):
        for template, number in _templates(module.name):
            group = (template, (module.parts, module.shape, _place(module, number)))
            groups.setdefault(group, []).append((number, index))
    rows: dict[int, Row] = {}  # index of a row's first module -> row
    left = set(range(len(modules)))
    for (template, _), found in sorted(groups.items(), key=lambda item: (-len(item[1]), item[1][0][1], item[0][0])):
        members = sorted((number, index) for number, index in found if index in left)
        if len(members) < 2:
            continue
        left.difference_update(index for _, index in members)
        numbers = tuple(number for number, _ in members)
        ranks = tuple(modules[index].rank for _, index in members)
        label, block = _place(modules[members[0][1]], numbers[0])
        first = min(index for _, index in members)
        rows[first] = Row(template, modules[first], numbers, ranks, label, block)
    for index in left:
        rows[index] = Row(
            modules[index].name, modules[index], (), (modules[index].rank,), *_place(modules[index], None)
        )
    return [row for _, row in sorted(rows.items(), key=lambda item: item[0])]


def _templates(name: str) -> Iterator[tuple[str, int]]:
    """The name with each of its numbers in turn replaced, and that number. A name with braces stays what it is."""
    if _BRACES.search(name):
        return
    for position, match in enumerate(_NUMBERS.finditer(name)):
        if position == _MAX_POSITIONS:
            return
        yield f"{name[: match.start()]}{NUMBER}{name[match.end() :]}", int(match[0])


def _place(module: Module, number: int | None) -> tuple[str | None, str | None]:
    """(label, block): that the number is the block's, or which block it is. Both are ``None`` outside blocks."""
    if module.block is None:
        return None, None
    label, abbreviation, own = module.block
    return (abbreviation, None) if number == own else (None, label)


# --- Names that differ by head or tail


def _products(rows: Sequence[Row]) -> list[Row]:
    alike = [_alike(row) for row in rows]
    shared = Counter((same, tail) for row, same in zip(rows, alike, strict=True) for _, tail in _cuts(row))
    by_tail: dict[tuple[_Alike, str], list[tuple[str, int]]] = {}  # -> (head, index of the row)
    whole: dict[int, Row] = {}  # index of the first row -> row
    for index, (row, same) in enumerate(zip(rows, alike, strict=True)):
        cuts = list(_cuts(row))
        if not cuts:
            whole[index] = row
            continue
        # The tail that most heads share; the longest of equals, so that what repeats is said once.
        head, tail = max(cuts, key=lambda cut: (shared[same, cut[1]], len(cut[1])))
        by_tail.setdefault((same, tail), []).append((head, index))
    by_heads: dict[tuple[_Alike, _Heads, str], list[tuple[str, int]]] = {}  # -> (tail, index of the first row)
    for (same, tail), found in by_tail.items():
        at = tuple(sorted((head, rows[index].block) for head, index in found))
        by_heads.setdefault((same, at, tail[0]), []).append((tail, min(index for _, index in found)))
    for (_, at, separator), tails in by_heads.items():
        first = min(index for _, index in tails)
        leaves = tuple(tail[1:] for tail, _ in tails)
        whole[first] = _product(rows[first], at, separator, leaves)
    return [row for _, row in sorted(whole.items(), key=lambda item: item[0])]


def _alike(row: Row) -> _Alike:
    """All that rows must agree in to be joined."""
    return (row.numbers, row.ranks, row.sample.parts, row.sample.shape, row.label)


def _cuts(row: Row) -> Iterator[tuple[str, str]]:
    """(head, tail) of a row's key; the tail begins with the dot or underscore between them."""
    if row.numbers or not _BRACES.search(row.key):
        for match in _CUTS.finditer(row.key):
            yield row.key[: match.end()], row.key[match.end() :]


def _product(row: Row, at: _Heads, separator: str, leaves: tuple[str, ...]) -> Row:
    start, heads = _without_shared_start(at) if len(at) > 1 else (at[0][0], ())
    several = len(leaves) > 1
    key = f"{start}{HEAD if heads else ''}{separator}{LEAF if several else leaves[0]}"
    return replace(row, key=key, at=heads, leaves=leaves if several else ())


def _without_shared_start(at: _Heads) -> tuple[str, _Heads]:
    """("lora_unet_", and the heads without it): what all begin with, up to a dot or underscore."""
    shared = ""
    for letters in zip(*(head for head, _ in at), strict=False):
        if len(set(letters)) > 1:
            break
        shared += letters[0]
    cut = max(shared.rfind("."), shared.rfind("_")) + 1
    return shared[:cut], tuple((head[cut:], block) for head, block in at)
