"""Real LoRA files, made small, and what a catalogue says about them, for the tests of the library."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.records import ScanSummary

RunIndex = Callable[..., ScanSummary]


def write_lora(path: Path, content: str, metadata: dict[str, str] | None = None, padding: int = 0) -> Path:
    """A valid .safetensors file of one fp16 LoRA pair, of which ``content`` decides every byte of the data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = 4 + padding
    data = (content.encode().ljust(32, b"\0")[:32] + bytes(16 * (rows - 4) // 2 * 2))[: 8 * rows]
    name = "lora_unet_single_blocks_0_linear1"
    header: dict[str, object] = {
        f"{name}.lora_down.weight": {"dtype": "F16", "shape": [4, rows // 2], "data_offsets": [0, 4 * rows]},
        f"{name}.lora_up.weight": {"dtype": "F16", "shape": [rows // 2, 4], "data_offsets": [4 * rows, 8 * rows]},
    }
    if metadata:
        header["__metadata__"] = metadata
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def ids_by_path(catalog: Catalog, root: Path | None = None) -> dict[str, str]:
    """Relative path -> stable id of the present entries."""
    with catalog.database.reading() as connection:
        found = connection.exec_driver_sql("SELECT rel_path, stable_id FROM lora WHERE state = 'present'")
        return dict(found.all())


def without_what_people_say(plain: sqlite3.Connection) -> None:
    """Take the schema of a catalogue back to where nobody could organise anything, as an older version made it."""
    for name in ("facets", "base_and_id", "blocks", "architecture", "role", "adapters"):
        plain.execute(f"DROP INDEX lora_by_{name}")
    for name, column in (("architecture", "architecture"), ("role", "role"), ("adapters", "adapter_types")):
        plain.execute(f"CREATE INDEX lora_by_{name} ON lora (state, {column})")
    for table in ("lora_choice", "lora_favourite", "lora_note", "lora_tag", "tag", "saved_search"):
        plain.execute(f"DROP TABLE {table}")
    plain.execute("ALTER TABLE lora DROP COLUMN condition")


def dump(catalog: Catalog, *, without: tuple[str, ...] = ()) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but the scans' own records, to compare two states of a catalogue."""
    tables = ("root", "id_ledger", "lora", "lora_history", "inspection", "lora_block_weights", "lora_module_facts")
    state = {}
    with catalog.database.reading() as connection:
        for table in tables:
            found = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1")
            kept = [n for n, name in enumerate(found.keys()) if name not in without]
            state[table] = [tuple(row[n] for n in kept) for row in found]
    return state
