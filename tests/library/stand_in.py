"""A small inspector for tests that are about identity and storage, not about what a file holds.

It reads real files with the real reader, so hashes and refusals are true; the strengths are the file's own first bytes,
and its module facts are no more than bytes, as they are for the library.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from lora_weights_builder.errors import FileRejected
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.tensor_file import content_hash, read_header
from lora_weights_builder.records import BlockStrength, FolderHint, LoraRecord

LAYOUT = "flux_transformer_38"


def inspect(
    path: str, *, hint: FolderHint | None = None, lora_name: str | None = None, measure: bool = True
) -> LoraRecord:
    hint = hint or FolderHint()
    blank = LoraRecord(
        file_path=path,
        filename=Path(path).name,
        size_bytes=0,
        lora_name=lora_name,
        base_model_code=hint.base_model_code or "UNK",
        base_model_name=hint.base_model_name,
    )
    try:
        header, digest = content_hash(path) if measure else (read_header(path), None)
    except FileRejected as fault:
        return replace(blank, error=fault.message, error_code=fault.code)
    layout = registry().layouts[LAYOUT]
    record = replace(
        blank,
        size_bytes=header.file_bytes,
        table_hash=header.table_hash,
        content_hash=digest,
        lora_type="lora",
        adapter_types=("lora",),
        rank=4,
        architecture="flux1",
        model_family="flux",
        block_layout=LAYOUT,
        block_count=layout.block_count,
        tensor_count=len(header.tensors),
        metadata=dict(header.metadata),
    )
    if digest is None:
        return record
    raw = [int(digest[i % 64], 16) / 16 for i in range(layout.block_count)]
    largest = max(raw)
    blocks = tuple(
        BlockStrength(b.index, b.label, b.group, round(raw[b.index] / largest, 6), raw[b.index], b.index != 1)
        for b in layout.blocks
    )
    ranks = (1, 2, int(digest[0], 16) + 3)
    return replace(
        record, measured=True, has_block_weights=True, blocks=blocks, module_facts=facts(digest), energy_ranks=ranks
    )


def facts(digest: str) -> bytes:
    """The module facts of a file with this content hash; line ends and zeros are what a careless codec trips over."""
    return b"\x00facts\n" + digest.encode() + b"\n\n\xff"


def fatal(
    path: str, *, hint: FolderHint | None = None, lora_name: str | None = None, measure: bool = True
) -> LoraRecord:
    """Kills its process on a file named "killer", hangs on one named "sleeper", raises on one named "raiser"."""
    name = Path(path).name
    if "killer" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "sleeper" in name:
        time.sleep(60)
    if "raiser" in name:
        raise ZeroDivisionError("a slip")
    return inspect(path, hint=hint, lora_name=lora_name, measure=measure)
