"""Headers made from key lists: what the registry's tests read instead of files with weights in them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

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


def numbers(row: Mapping[str, Any]) -> range:
    """What stands at ``{i}`` in a row of a data file: ``count`` numbers from ``first`` (0) on, ``step`` (1) apart."""
    first, step = row.get("first", 0), row.get("step", 1)
    return range(first, first + row["count"] * step, step)


def expand(case: Mapping[str, Any]) -> dict[str, list[int]]:
    """The tensor names and shapes that a layout's data file stands for."""
    keys: dict[str, list[int]] = {}
    for row in case["modules"]:
        for i in numbers(row):
            name = row["key"].replace("{i}", str(i))
            for suffix, role in case["factors"].items():
                keys[f"{name}.{suffix}"] = _factor(role, row["shape"], case["rank"])
    return keys


def _factor(role: str, shape: Sequence[int], rank: int) -> list[int]:
    if role == "scalar":
        return []
    if role == "up":
        return [shape[0], rank, *[1] * (len(shape) - 2)]
    return [rank, *shape[1:]]
