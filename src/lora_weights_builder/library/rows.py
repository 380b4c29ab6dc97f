"""Between an inspected record and the columns of a table row, and from a row to the values that callers see.

The codec of the catalogue, without SQL: which column holds what, in which spelling. Text out of files is made storable
here (a header may hold lone surrogates and NUL, a database and JSON may not).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, get_args

import orjson

from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.library import paths
from lora_weights_builder.library.conventions import DEFAULT_ROLE
from lora_weights_builder.library.id_assigner import UNKNOWN_CATEGORY
from lora_weights_builder.records import (
    ENERGY_SHARES,
    BlockStrength,
    Choosable,
    EnergyRanks,
    FileHashes,
    FileStamp,
    FolderHint,
    LoraRecord,
    LoraRow,
    MetadataSummary,
)

StoredRow = Mapping[Any, Any]
"""Columns of ``lora`` by name."""

ENERGY_COLUMNS: Final = tuple(f"rank_{share}" for share in ENERGY_SHARES)
CHOOSABLE: Final[tuple[Choosable, ...]] = get_args(Choosable)
WEIGHT_DECIMALS: Final = 6  # as the inspector rounds them
MAX_METADATA_CHARACTERS: Final = 2_000_000  # of one file's values together; the rest is cut, with a mark
_BAD_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_CUT: Final = " [cut]"
_INT64: Final = 1 << 63


def now() -> str:
    """This moment, ISO 8601 in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def iso(mtime_ns: int) -> str:
    """A file time as ISO 8601 in UTC; times that no calendar holds show as the epoch."""
    try:
        moment = datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC)
    except (OverflowError, OSError, ValueError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def hint_text(hint: FolderHint) -> str:
    """A folder's hint as compact text: equal texts, equal hints."""
    return "\t".join(
        part or ""
        for part in (
            hint.base_model_code,
            hint.base_model_name,
            hint.category_code,
            hint.category_name,
            hint.role,
            hint.mode,
        )
    )


def columns(record: LoraRecord, hint: FolderHint) -> dict[str, Any]:
    """The columns of ``lora`` that come from the file itself: all but id, place, stamps and times."""
    record = _with_required_layout(record)
    raw = [block.raw_strength for block in record.blocks]
    measured = record.has_block_weights and bool(raw) and all(value is not None for value in raw)
    numbers = [float(value) for value in raw if value is not None] if measured else []
    summary = record.summary
    return {
        "table_hash": record.table_hash,
        "content_hash": record.content_hash,
        "base_model_code": record.base_model_code,
        "base_model_name": _clean(record.base_model_name),
        "base_model_evidence": record.base_model_evidence,
        "category_code": hint.category_code or UNKNOWN_CATEGORY,
        "category_name": _clean(hint.category_name),
        "role": hint.role or DEFAULT_ROLE,
        "model_family": record.model_family,
        "architecture": record.architecture,
        "ambiguous_architectures": dumps(record.ambiguous_architectures),
        "architecture_evidence": record.architecture_evidence,
        "variant": _clean(record.variant),
        "lora_type": record.lora_type,
        "adapter_types": dumps(record.adapter_types),
        "dialect": record.dialect,
        "rank": record.rank,
        "alpha": record.alpha if record.alpha is not None and math.isfinite(record.alpha) else None,
        "block_layout": record.block_layout,
        "block_count": record.block_count,
        "has_block_weights": int(measured),
        "measured": int(record.measured),
        "fallback": int(record.fallback),
        "fallback_reason": _clean(record.fallback_reason),
        "clip_contributor": int(record.clip_contributor),
        "clip_tensor_count": record.clip_tensor_count,
        "tensor_count": record.tensor_count,
        "unmatched_tensor_count": record.unmatched_tensor_count,
        "strength_kinds": dumps(record.strength_kinds),
        "strength": math.sqrt(math.fsum(value * value for value in numbers)) if measured else None,
        "strength_max": max(numbers) if measured else None,
        "block_presence": "".join("01"[block.present] for block in record.blocks) if measured else None,
        "raw_strengths": dumps(numbers) if measured else None,
        **dict(zip(ENERGY_COLUMNS, record.energy_ranks or (None,) * len(ENERGY_COLUMNS), strict=True)),
        "error": _clean(record.error),
        "error_code": record.error_code,
        "title": _clean(summary.title),
        "trigger_words": dumps(summary.trigger_words),
        "warnings": dumps(record.warnings),
        "summary": dumps(summary),
        "metadata": dumps(_cut_all(record.metadata)),
    }


def _with_required_layout(record: LoraRecord) -> LoraRecord:
    """A row whose base model must have a layout has one, whatever the inspector said: its neutral fallback."""
    base = registry().base_models.get(record.base_model_code)
    if base is None or base.fallback_layout is None or record.block_layout is not None:
        return record
    layout = registry().layouts[base.fallback_layout]
    return replace(
        record,
        block_layout=layout.id,
        block_count=layout.block_count,
        has_block_weights=False,
        fallback=True,
        fallback_reason=record.fallback_reason or record.error or "nothing in the file could be measured",
    )


def place_columns(path: str, relative: str, root_id: int, stamp: FileStamp, hint: str) -> dict[str, Any]:
    """The columns of ``lora`` that say where the file is and what it looked like when it was read."""
    filename = relative.rpartition("/")[2]
    return {
        "root_id": root_id,
        "file_path": path,
        "rel_path": relative,
        "lora_name": paths.lora_name(relative),
        "filename": filename,
        "name_key": filename.casefold(),
        "size_bytes": stamp.size,
        "mtime_ns": stamp.mtime_ns,
        "ctime_ns": stamp.ctime_ns,
        "inode": stamp.inode,
        "last_modified": iso(stamp.mtime_ns),
        "hint": hint,
    }


def search_text(row: StoredRow, beside: Iterable[str] = ()) -> str:
    """What a search looks through, case-folded; parts are apart by newlines so that no match spans two of them.

    ``beside`` is what the sidecars of the file add.
    """
    words = [*orjson.loads(row["trigger_words"]), *beside]
    parts = [row["stable_id"], row["filename"], row["rel_path"], row["title"] or "", *words]
    return "\n".join(dict.fromkeys(part for part in parts if part)).casefold()


def lora_row(row: StoredRow) -> LoraRow:
    """A row of ``lora`` as callers see it; beside its columns it has ``pair_id`` and what a person said."""
    raw = _strengths(row)
    return LoraRow(
        id=row["id"],
        stable_id=row["stable_id"],
        file_path=row["file_path"],
        rel_path=row["rel_path"],
        lora_name=row["lora_name"],
        filename=row["filename"],
        root_id=row["root_id"],
        base_model_code=row["base_model_code"],
        base_model_name=row["base_model_name"],
        category_code=row["category_code"],
        category_name=row["category_name"],
        role=row["role"],
        model_family=row["model_family"],
        architecture=row["architecture"],
        ambiguous_architectures=tuple(orjson.loads(row["ambiguous_architectures"])),
        architecture_evidence=row["architecture_evidence"],
        variant=row["variant"],
        lora_type=row["lora_type"],
        adapter_types=tuple(orjson.loads(row["adapter_types"])),
        dialect=row["dialect"],
        rank=row["rank"],
        alpha=row["alpha"],
        block_layout=row["block_layout"],
        block_count=row["block_count"],
        has_block_weights=bool(row["has_block_weights"]),
        pending=row["state"] == "present" and not row["measured"] and row["error"] is None,
        fallback=bool(row["fallback"]),
        fallback_reason=row["fallback_reason"],
        clip_contributor=bool(row["clip_contributor"]),
        clip_tensor_count=row["clip_tensor_count"],
        tensor_count=row["tensor_count"],
        unmatched_tensor_count=row["unmatched_tensor_count"],
        strength_kinds=tuple(orjson.loads(row["strength_kinds"])),
        strength=row["strength"],
        weights=None if raw is None else _weights(raw, row["strength_max"]),
        size_bytes=row["size_bytes"],
        content_hash=row["content_hash"],
        hashes=FileHashes(row["blake3"], row["sha256"], row["autov3"]),
        state=row["state"],
        stale=bool(row["stale"]),
        stale_reason=row["stale_reason"],
        duplicate_of=row["duplicate_of"],
        pair_id=row["pair_id"],
        error=row["error"],
        error_code=row["error_code"],
        warnings=tuple(orjson.loads(row["warnings"])),
        title=row["title"],
        trigger_words=tuple(orjson.loads(row["trigger_words"])),
        revision=row["revision"],
        last_modified=row["last_modified"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        favourite=bool(row["favourite"]),
        tags=tuple(orjson.loads(row["tags"])),
        set_by_person=tuple(name for name in CHOOSABLE if row[f"{name}_is_chosen"]),
    )


def blocks_of(row: StoredRow) -> tuple[BlockStrength, ...]:
    """The blocks of a row in the layout's order: measured, neutral for a fallback, else none."""
    layout = registry().layouts.get(row["block_layout"] or "")
    if layout is None:
        return ()
    if row["fallback"]:
        return tuple(BlockStrength(b.index, b.label, b.group, 1.0, None) for b in layout.blocks)
    raw = _strengths(row)
    if raw is None or len(raw) != layout.block_count:
        return ()
    weights = _weights(raw, row["strength_max"])
    presence = row["block_presence"] or "1" * len(raw)
    return tuple(
        BlockStrength(b.index, b.label, b.group, weights[b.index], raw[b.index], presence[b.index] == "1")
        for b in layout.blocks
    )


def energy_ranks_of(row: StoredRow) -> EnergyRanks | None:
    """The ranks that keep each share of the file's change, ``None`` where none is known."""
    at_90, at_95, at_99 = (row[name] for name in ENERGY_COLUMNS)
    return None if at_90 is None else (at_90, at_95, at_99)


def metadata_of(row: StoredRow) -> tuple[dict[str, str], MetadataSummary]:
    """The file's own metadata, and what was made out of it."""
    summary = json.loads(row["summary"])
    for name in ("trigger_words", "resolution"):
        if summary.get(name) is not None:
            summary[name] = tuple(summary[name])
    summary["tags"] = tuple((tag, count) for tag, count in summary.get("tags", ()))
    return dict(json.loads(row["metadata"])), MetadataSummary(**summary)


def _strengths(row: StoredRow) -> list[float] | None:
    return orjson.loads(row["raw_strengths"]) if row["has_block_weights"] else None


def _weights(raw: Sequence[float], largest: float) -> tuple[float, ...]:
    return tuple(round(value / largest, WEIGHT_DECIMALS) if largest else 0.0 for value in raw)


def dumps(value: object) -> str:
    """Compact JSON that a database can hold, whatever text or number a file brought along."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a lone surrogate, or a whole number beyond 64 bits
        return json.dumps(_storable(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _storable(asdict(value))
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _clean(text: str | None) -> str | None:
    return None if text is None else _BAD_TEXT.sub("\ufffd", text)


def _cut_all(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata within what one row may weigh; values are cut in their order once it is used up."""
    left = MAX_METADATA_CHARACTERS
    kept: dict[str, str] = {}
    for key, value in metadata.items():
        kept[key] = value if len(value) <= left else value[:left] + _CUT
        left = max(0, left - len(value))
    return kept


def with_warning(warnings: str, warning: str) -> str:
    """A row's warnings with one more, as stored."""
    return dumps([*orjson.loads(warnings), warning])
