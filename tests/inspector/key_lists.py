"""Headers made from key lists: what the registry's tests read instead of files with weights in them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lora_weights_builder.inspector.adapters import group_modules
from lora_weights_builder.inspector.layout_match import match_layout
from lora_weights_builder.records import FolderHint, Header, LayoutMatch, ModuleAdapter, TensorInfo

TESTS = Path(__file__).parent.parent
KEYS = TESTS / "data" / "keys"
LAYOUTS = TESTS / "layouts"

Keys = Mapping[str, Sequence[int]]


def header_of(keys: Keys, metadata: Mapping[str, str] | None = None, dtype: str = "F16") -> Header:
    """A header as the reader would give it; offsets and hashes play no part here."""
    tensors = tuple(TensorInfo(name, dtype, tuple(shape), 0, 0) for name, shape in keys.items())
    return Header(tensors, metadata or {}, 0, 0, 0, "")


def key_list(name: str) -> dict[str, list[int]]:
    """One of the lists in ``tests/data/keys``."""
    keys: dict[str, list[int]] = json.loads(gzip.decompress((KEYS / f"{name}.json.gz").read_bytes()))
    return keys


def manifest() -> dict[str, dict[str, str]]:
    """What is known of each key list: ``kind``, and ``repository``, ``path``, ``commit`` of where it is from."""
    known: dict[str, dict[str, str]] = json.loads((KEYS / "manifest.json").read_text("utf-8"))
    return known


def matched(
    keys: Keys, metadata: Mapping[str, str] | None = None, base: str | None = None
) -> tuple[tuple[ModuleAdapter, ...], LayoutMatch]:
    """The modules of a key list and where they belong; ``base`` is the base model of the folder."""
    modules, unknown = group_modules(header_of(keys, metadata))
    hint = FolderHint(base_model_code=base) if base else None
    return modules, match_layout(modules, unknown_tensors=unknown, metadata=metadata, hint=hint)


def lora(names: Iterable[str], out_features: int, in_features: int, rank: int = 4) -> dict[str, list[int]]:
    """A LoRA pair for each module name, in ComfyUI's spelling of the factors."""
    keys: dict[str, list[int]] = {}
    for name in names:
        keys[f"{name}.lora_A.weight"] = [rank, in_features]
        keys[f"{name}.lora_B.weight"] = [out_features, rank]
    return keys


def layout_files() -> list[Path]:
    """The data files of all layouts and dialects."""
    return sorted(LAYOUTS.glob("*.json"))


def numbers(row: Mapping[str, Any]) -> Sequence[int | None]:
    """What stands at ``{i}`` in a row of a data file.

    ``numbers`` themselves, or ``count`` of them from ``first`` (0) on, ``step`` (1) apart; ``None`` where there is no
    ``{i}``.
    """
    if "numbers" in row:
        listed: list[int] = row["numbers"]
        return listed
    first, step = row.get("first", 0), row.get("step", 1)
    return range(first, first + row["count"] * step, step) if "count" in row else [None]


class Told(NamedTuple):
    """One module that a row of a data file tells.

    ``number`` is its ``{i}``, ``label`` that of its block, ``rank`` that of a plain pair.
    """

    row: Mapping[str, Any]
    number: int | None
    name: str
    label: str | None
    rank: int | None
    tensors: Mapping[str, list[int]]


def told(case: Mapping[str, Any]) -> Iterator[Told]:
    """The modules of a data file, in its order. The form is described in ``inspector/capture.py``."""
    for row in case["modules"]:
        inside = numbers(row)
        rank = row.get("rank", case["rank"])
        ranks = rank if isinstance(rank, list) else [rank] * len(inside)
        for head in row.get("at", [None]):
            for number, own in zip(inside, ranks, strict=True):
                for leaf in row.get("leaves", [None]):
                    name = row["key"]
                    for place, text in (("{at}", head), ("{leaf}", leaf), ("{i}", number)):
                        name = name if text is None else name.replace(place, str(text))
                    tensors = _tensors(case, row, name, own)
                    yield Told(row, number, name, _label(row, head, number), None if "tensors" in row else own, tensors)


def _label(row: Mapping[str, Any], head: str | None, number: int | None) -> str | None:
    if isinstance(row.get("at"), dict):
        label: str | None = row["at"][head]
        return label
    label = row.get("block", row.get("label"))
    return f"{label}{number:02d}" if label and "block" not in row else label


def _tensors(case: Mapping[str, Any], row: Mapping[str, Any], name: str, rank: int) -> dict[str, list[int]]:
    if "tensors" in row:
        return {f"{name}.{suffix}" if suffix else name: shape for suffix, shape in row["tensors"].items()}
    factors = row.get("factors", case["factors"])
    return {f"{name}.{suffix}": _factor(role, row["shape"], rank) for suffix, role in factors.items()}


def expand(case: Mapping[str, Any]) -> dict[str, list[int]]:
    """The tensor names and shapes that a layout's data file stands for."""
    return {name: shape for module in told(case) for name, shape in module.tensors.items()}


def shown_metadata(case: Mapping[str, Any]) -> dict[str, str]:
    """The metadata that a data file shows the values of."""
    return {name: value for name, value in case.get("metadata", {}).items() if value is not None}


def _factor(role: str, shape: Sequence[int], rank: int) -> list[int]:
    if role == "scalar":
        return []
    if role == "up":
        return [shape[0], rank, *[1] * (len(shape) - 2)]
    return [rank, *shape[1:]]
