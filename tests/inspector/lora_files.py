"""LoRA files for the inspector's tests: tensors in any dtype written byte by byte, and modules grouped by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from lora_weights_builder.inspector.strengths import Measurement, measure
from lora_weights_builder.inspector.tensor_file import TensorFile
from lora_weights_builder.records import AdapterType, Header, ModuleAdapter, ModuleStrength

NUMPY_TYPES: dict[str, Any] = {
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F32": np.float32,
    "F64": np.float64,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I8": np.int8,
    "I32": np.int32,
    "U8": np.uint8,
    "BOOL": np.bool_,
}

Array = NDArray[Any]


def stored(values: Array, dtype: str) -> NDArray[np.float64]:
    """The values as float64 after a round trip through ``dtype``: what a reader of the file can know."""
    return np.asarray(values).astype(NUMPY_TYPES[dtype]).astype(np.float64)


def normal(seed: int, *shape: int, scale: float = 0.1) -> NDArray[np.float64]:
    """Normal numbers, the same for the same seed and shape."""
    return np.random.default_rng(seed).normal(0, scale, shape)


def tucker_loha(dtype: str) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """The tensors of a LoHa with cores, by role, and the change they stand for once stored as ``dtype``."""
    tensors = {
        "hada_t1": normal(1, 6, 6, 3, 3, scale=0.5),
        "hada_w1_a": normal(2, 6, 40, scale=0.5),
        "hada_w1_b": normal(3, 6, 30, scale=0.5),
        "hada_t2": normal(4, 6, 6, 3, 3, scale=0.5),
        "hada_w2_a": normal(5, 6, 40, scale=0.5),
        "hada_w2_b": normal(6, 6, 30, scale=0.5),
    }
    x = {role: stored(values, dtype) for role, values in tensors.items()}
    one = np.einsum("ijkl,jr,ip->prkl", x["hada_t1"], x["hada_w1_b"], x["hada_w1_a"])
    two = np.einsum("ijkl,jr,ip->prkl", x["hada_t2"], x["hada_w2_b"], x["hada_w2_a"])
    return tensors, np.asarray(one * two, np.float64)


def raw_file(header: bytes | str | Mapping[str, Any], data: bytes = b"") -> bytes:
    """The bytes of a file with this header, whatever it says."""
    if isinstance(header, Mapping):
        header = json.dumps(header, separators=(",", ":"))
    text = header.encode() if isinstance(header, str) else header
    return len(text).to_bytes(8, "little") + text + data


def write(
    path: Path,
    tensors: Mapping[str, Array],
    dtype: str | Mapping[str, str] = "F32",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write ``tensors`` in their order; ``dtype`` is one for all or one a name."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata is not None else {}
    parts: list[bytes] = []
    position = 0
    for name, values in tensors.items():
        kind = dtype if isinstance(dtype, str) else dtype[name]
        part = np.ascontiguousarray(np.asarray(values).astype(NUMPY_TYPES[kind])).tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(np.shape(values)),
            "data_offsets": [position, position + len(part)],
        }
        parts.append(part)
        position += len(part)
    path.write_bytes(raw_file(header, b"".join(parts)))
    return path


def one_module(header: Header, kind: AdapterType = "lora", **fields: Any) -> ModuleAdapter:
    """One module of all tensors, whose names are their roles."""
    tensors = {info.name: info for info in header.tensors}
    defaults: dict[str, Any] = {"out_features": None, "in_features": None}
    return ModuleAdapter(part="model", module="m", kind=kind, tensors=tensors, **{**defaults, **fields})


def modules_by_prefix(header: Header, **fields: Any) -> tuple[ModuleAdapter, ...]:
    """Modules of tensors named ``<module>.<role>``, in the order of their first tensor."""
    groups: dict[str, dict[str, Any]] = {}
    for info in header.tensors:
        module, _, role = info.name.rpartition(".")
        groups.setdefault(module, {})[role] = info
    return tuple(
        ModuleAdapter("model", module, "lora", tensors, out_features=None, in_features=None, **fields)
        for module, tensors in groups.items()
    )


def measure_one(path: Path, kind: AdapterType = "lora", **fields: Any) -> ModuleStrength:
    """The strength of a file that holds one module, its tensors named by role."""
    with TensorFile.open(path) as file:
        return measure(file, [one_module(file.header, kind, **fields)]).strengths[0]


def measure_all(path: Path, **fields: Any) -> Measurement:
    """The measurement of a file of modules named ``<module>.<role>``."""
    with TensorFile.open(path) as file:
        return measure(file, modules_by_prefix(file.header, **fields))
