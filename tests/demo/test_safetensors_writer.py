"""What the writer writes, the reference implementation reads."""

from __future__ import annotations

import safetensors.numpy

from lora_weights_builder.demo.planted_factors import StoredTensor
from lora_weights_builder.demo.safetensors_writer import encode

TENSORS = (
    StoredTensor("b", "F16", (2, 2), bytes.fromhex("003c 0040 0042 0044")),
    StoredTensor("a", "F32", (), bytes.fromhex("0000803f")),
)


def test_the_reference_reads_names_shapes_and_values() -> None:
    read = safetensors.numpy.load(encode(TENSORS, {"ss_network_dim": "2"}))
    assert read["b"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert read["a"].tolist() == 1.0


def test_data_starts_at_a_multiple_of_eight() -> None:
    encoded = encode(TENSORS, {})
    length = int.from_bytes(encoded[:8], "little")
    assert length % 8 == 0
    assert len(encoded) == 8 + length + 12


def test_the_order_of_the_metadata_does_not_matter() -> None:
    assert encode(TENSORS, {"b": "1", "a": "2"}) == encode(TENSORS, {"a": "2", "b": "1"})
