"""Writes down a file's names and shapes as a data file of the layout tests: no weights, nothing private, a page long.

It reads the header and nothing else. Names that differ only by a number and agree in everything else become one row;
what does not collapse stays a row of its own, so that the rows give back exactly the names and shapes. The form:

* ``factors``: suffix -> role (``down`` [rank, in, *kernel], ``up`` [out, rank, 1...], ``scalar`` []) of the file's
  plain pairs, ``rank`` their rank; a row that differs has its own.
* a row of ``modules``: ``key``, in which ``{at}`` is one of ``at``, ``{leaf}`` one of ``leaves`` and ``{i}`` a number,
  0 to ``count`` - 1 or one of ``numbers``, in every combination; without these the key means itself. Then ``shape``,
  the base weight's, and ``rank`` (a list: one a number); or ``tensors``, suffix -> shape, where they are no plain pair.
* ``label`` is the abbreviation of the group whose blocks ``{i}`` counts, ``block`` the label of a row within one block;
  rows of several blocks have an ``at`` of head -> label. Null is outside blocks.
* ``partial``: the file need not change every weight of its model, so its rows are no list of them.
* ``metadata``: field -> value, which is null unless it is one of the few that name a model.

What does not belong here: recognising (``layout_match``), and expanding a capture, which only tests do.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lora_weights_builder.inspector.adapters import group_modules
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.capture_rows import Module, Row, collapse
from lora_weights_builder.inspector.key_grammar import parse_key
from lora_weights_builder.inspector.layout_match import match_layout
from lora_weights_builder.records import Header, LayoutMatch, TensorInfo

# What a factor's role is called in a data file; roles without a name there make a module no plain pair.
_ROLES: Final = {"lora_down": "down", "lora_up": "up", "alpha": "scalar"}
# Endings whose module name is not simply what stands before them ("to_q_lora.down.weight", "qkv.oft_blocks.0").
_RARE_SUFFIX: Final = re.compile(r"\.((?:down|up)\.weight|oft_blocks\.\d{1,2})\Z")

# Fields whose value says which model or trainer a file is from, beside those that the registry's claims read.
_TELLING_FIELDS: Final = ("format", "modelspec.implementation", "ss_network_module", "ss_v2")
_HASH_FIELDS: Final = ("ss_new_sd_model_hash", "ss_sd_model_hash")
# Words and one slash at most: "flux-1-dev/lora", and no path.
_TELLING_VALUE: Final = re.compile(r"[\w.+-]{1,48}(?: [\w.+-]{1,48}){0,3}(?:/[\w.+-]{1,48})?", re.ASCII)
_HASH: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{8,64}")
_FIELD_NAME: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
_MAX_FIELDS: Final = 150
_SHOWN_LABELS: Final = 2  # of each group, the first and the last


@dataclass(frozen=True, slots=True)
class _Place:
    """A module's block: its label, taken apart into the group's abbreviation and the number."""

    label: str
    abbreviation: str
    number: int


def capture(header: Header, layout_name: str | None = None) -> dict[str, Any]:
    """A header as the content of a data file.

    Args:
        header: a validated header, as :func:`tensor_file.read_header` gives it.
        layout_name: the layout that the file ought to have. Where the inspector finds another one, or none,
            ``expected`` is left to be filled in, and ``comment`` says what is needed.
    """
    metadata, hidden = _metadata(header.metadata)
    match, places = _recognised(replace(header, metadata={k: v for k, v in metadata.items() if v is not None}))
    believed = match.layout_id is not None and layout_name in (None, match.layout_id)
    rows, rank, factors = _rows(header.tensors, places if believed else {})
    document: dict[str, Any] = {
        "layout": match.layout_id if believed else layout_name,
        "architecture": match.architecture if believed else None,
    }
    if not believed:
        document["comment"] = _comment(match)
    document["partial"] = True
    document["rank"] = rank
    document["factors"] = factors
    document["dtypes"] = dict(sorted(Counter(tensor.dtype for tensor in header.tensors).items()))
    if metadata:
        document["metadata"] = metadata
    if hidden:
        document["further_metadata_fields"] = hidden
    document["expected"] = _expected(match, places.values()) if believed else None
    document["modules"] = rows
    return document


def as_text(document: Mapping[str, Any]) -> str:
    """A capture as it is stored: indented, with one line a row of ``modules``; ASCII only."""
    rows = ",\n".join(f"  {json.dumps(row, separators=(',', ':'))}" for row in document["modules"])
    rest = json.dumps({**document, "modules": []}, indent=1)
    return f"{rest.removesuffix('[]' + chr(10) + '}')}[\n{rows}\n ]\n}}\n"


# --- What the inspector says of it


def _recognised(header: Header) -> tuple[LayoutMatch, dict[str, _Place | None]]:
    """The match, and for each tensor that was placed its block (``None`` outside blocks)."""
    modules, unknown = group_modules(header)
    match = match_layout(modules, unknown_tensors=unknown, metadata=header.metadata)
    layout = registry().layouts[match.layout_id] if match.layout_id else None
    groups = {group.key: group.abbreviation for group in layout.groups} if layout else {}
    blocks = {
        block.index: _Place(block.label, groups[block.group], block.group_index)
        for block in (layout.blocks if layout else ())
    }
    places = {
        tensor.name: None if place.block_index is None else blocks[place.block_index]
        for module, place in zip(modules, match.placements, strict=True)
        for tensor in module.tensors.values()
    }
    return match, places


def _expected(match: LayoutMatch, places: Iterable[_Place | None]) -> dict[str, Any]:
    assert match.layout_id is not None
    present = {place.label for place in places if place is not None}
    layout = registry().layouts[match.layout_id]
    labels: list[str] = []
    for group in layout.groups:
        here = [block.label for block in layout.blocks if block.group == group.key and block.label in present]
        labels += here if len(here) < _SHOWN_LABELS else [here[0], here[-1]]
    expected: dict[str, Any] = {
        "evidence": match.evidence,
        "candidates": list(match.candidates),
        "dialect": match.dialect,
        "block_count": layout.block_count,
        "blocks_present": len(present),
        "labels": labels,
    }
    if match.unmatched_tensor_count:
        expected["unmatched_tensor_count"] = match.unmatched_tensor_count
    return expected


def _comment(match: LayoutMatch) -> str:
    found = match.reason or f"The inspector takes it for {match.architecture or 'a model'} with {match.layout_id}."
    return (
        f"{found} To make a test of this, fill in: layout (its id), architecture; in each row label (D for D00, D01 "
        "... where {i} counts the blocks, null outside blocks), block (a whole label) or at (name -> label); and "
        "as expected: evidence, candidates, dialect, block_count, blocks_present, labels."
    )


# --- What may be shown of the metadata


def _metadata(metadata: Mapping[str, str]) -> tuple[dict[str, str | None], int]:
    """Field -> value where that names a model, else ``None``; and how many fields are not even named."""
    telling = {field for claim in registry().claims for field in claim.fields} | set(_TELLING_FIELDS)
    shown: dict[str, str | None] = {}
    for name in sorted(metadata):
        if len(shown) == _MAX_FIELDS or not _FIELD_NAME.fullmatch(name):
            continue
        value = metadata[name].strip()
        form = _TELLING_VALUE if name in telling else _HASH if name in _HASH_FIELDS else None
        shown[name] = value if form is not None and form.fullmatch(value) else None
    return shown, len(metadata) - len(shown)


# --- Names and shapes as rows


def _rows(
    tensors: Sequence[TensorInfo], places: Mapping[str, _Place | None]
) -> tuple[list[dict[str, Any]], int | None, dict[str, str]]:
    """The rows, and the rank and factors that most plain pairs have."""
    gathered: dict[str, dict[str, tuple[tuple[int, ...], str | None]]] = {}
    stands: dict[str, _Place | None] = {}
    for tensor in tensors:
        stem, suffix, role = _split(tensor.name)
        gathered.setdefault(stem, {})[suffix] = (tensor.shape, role)
        stands[stem] = places.get(tensor.name)
    modules = [_module(stem, parts, stands[stem]) for stem, parts in gathered.items()]
    pairs = [module for module in modules if module.shape is not None]
    factors = Counter(module.parts for module in pairs).most_common(1)
    rank = Counter(module.rank for module in pairs).most_common(1)
    usual_factors, usual_rank = factors[0][0] if factors else (), rank[0][0] if rank else None
    rows = [{**_row(row, usual_factors, usual_rank), **_placed(row, known=bool(places))} for row in collapse(modules)]
    return rows, usual_rank, {suffix: str(role) for suffix, role in usual_factors}


def _split(name: str) -> tuple[str, str, str | None]:
    """(module's name, suffix, role); the first two, joined by a dot, give the name back. No suffix: no dot."""
    key = parse_key(name)
    role = _ROLES.get(key.role) if key else None
    if key is not None:
        cut = len(key.root) + len(key.module)  # folding dots to underscores keeps the length
        if name[cut : cut + 1] == "." and name[len(key.root) : cut].replace(".", "_") == key.module:
            return name[:cut], name[cut + 1 :], role
    if rare := _RARE_SUFFIX.search(name):
        return name[: rare.start()], rare[1], role
    stem, dot, last = name.rpartition(".")
    return (stem, last, role) if dot and last else (name, "", None)


def _module(stem: str, parts: Mapping[str, tuple[tuple[int, ...], str | None]], place: _Place | None) -> Module:
    """A plain pair as base shape and rank where those give its tensors back exactly; else the tensors' own shapes."""
    block = (place.label, place.abbreviation, place.number) if place else None
    roles = {role: shape for shape, role in parts.values()}
    down, up = roles.get("down"), roles.get("up")
    if down and up and len(up) > 1 and None not in roles and len(roles) == len(parts):
        shape, rank = (up[0], *down[1:]), down[0]
        exact = len(shape) > 1 and up == (up[0], rank, *[1] * (len(shape) - 2)) and roles.get("scalar", ()) == ()
        if exact:
            factors = tuple((suffix, role) for suffix, (_, role) in parts.items())
            return Module(stem, factors, shape, rank, block)
    return Module(stem, tuple((suffix, shape) for suffix, (shape, _) in parts.items()), None, None, block)


def _row(row: Row, factors: tuple[tuple[str, object], ...], rank: int | None) -> dict[str, Any]:
    """A row as JSON, without what the top of the file says already."""
    written: dict[str, Any] = {"key": row.key}
    if row.numbers:
        contiguous = row.numbers == tuple(range(len(row.numbers)))
        written |= {"count": len(row.numbers)} if contiguous else {"numbers": list(row.numbers)}
    if row.leaves:
        written["leaves"] = list(row.leaves)
    if row.sample.shape is None:
        written["tensors"] = {suffix: list(shape) for suffix, shape in row.sample.parts if isinstance(shape, tuple)}
        return written
    written["shape"] = list(row.sample.shape)
    if row.sample.parts != factors:
        written["factors"] = dict(row.sample.parts)
    if set(row.ranks) != {rank}:
        written["rank"] = row.ranks[0] if len(set(row.ranks)) == 1 else list(row.ranks)
    return written


def _placed(row: Row, *, known: bool) -> dict[str, Any]:
    """Where a row's modules stand, as far as that is known: its heads, and what to expect of their blocks."""
    if not known or row.label is not None:
        placed: dict[str, Any] = {"at": [head for head, _ in row.at]} if row.at else {}
        return placed | ({"label": row.label} if known else {})
    if row.at:
        return {"at": dict(row.at)}
    return {"label": None} if row.block is None else {"block": row.block}
