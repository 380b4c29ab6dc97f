"""Writes a .safetensors file, the same bytes for the same input: metadata sorted, tensors in the order given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from lora_weights_builder.demo.planted_factors import StoredTensor

_ALIGNMENT = 8  # the data section starts at a multiple of this many bytes, as the reference writer has it


def encode(tensors: Sequence[StoredTensor], metadata: Mapping[str, str]) -> bytes:
    """The whole file."""
    table: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    offset = 0
    for tensor in tensors:
        end = offset + len(tensor.data)
        table[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    return b"".join([len(header).to_bytes(8, "little"), header, *(tensor.data for tensor in tensors)])
