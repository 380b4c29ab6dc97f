"""What a file's modules are like, summed up block by block, and packed small enough to be kept for every file.

The spectra come from ``strengths``; here they are only added up, packed and unpacked. Places in the model come from
``layout_match``; no file is read and no architecture is named.

Packed: one byte for the version, then zlib over the length of a JSON object, the object itself (one list a column,
because names that follow one template compress to almost nothing side by side) and the numbers, whose bytes are
sorted by significance for the same reason. Singular values are kept as shares of the module's largest, to 1e-5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from lora_weights_builder.errors import CatalogError
from lora_weights_builder.inspector.adapters import MAY_BE_INTEGER
from lora_weights_builder.records import (
    ENERGY_SHARES,
    BlockFacts,
    EnergyRanks,
    LayoutMatch,
    ModuleAdapter,
    ModuleFacts,
    ModuleStrength,
    StrengthKind,
)

T = TypeVar("T")
Floats = NDArray[np.float64]

VERSION: Final = 1
MAX_UNPACKED: Final = 2**28  # bytes; a damaged length must not fill the memory
BLOCK_VALUES: Final = 256  # listed of a block or file
NO_RANKS: Final[EnergyRanks] = (None, None, None)

#: Kinds whose norm is that of a change dW of the weight.
_CHANGES: Final[frozenset[StrengthKind]] = frozenset({"delta", "direction", "partial"})
# A share of the energy that is missed by less than this is reached: rounding must not cost a rank.
_ROUNDING: Final = 3e-5
# Kinds that may change a vector; of all others, an unknown side leaves the weight's size open.
_VECTORS: Final = frozenset({"norm", "full"})
_COLUMNS: Final = (
    "part", "module", "canonical", "block_index", "kind", "strength_kind", "rank", "alpha", "parameters", "elements",
    "complete", "counted",
)  # fmt: skip
_NORM_BYTES: Final = 5  # of a float64: 29 bits of mantissa, more than float32's 24
_SHARE_BYTES: Final = 3  # of a float32: 15 bits of mantissa


def collect(
    modules: Sequence[ModuleAdapter],
    match: LayoutMatch,
    strengths: Sequence[ModuleStrength],
    counted: Sequence[bool],
) -> tuple[ModuleFacts, ...]:
    """Put together what grouping, matching and measuring said of each module; all four are aligned."""
    return tuple(
        ModuleFacts(
            part=module.part,
            module=module.module,
            canonical=place.canonical,
            block_index=place.block_index,
            kind=module.kind,
            strength_kind=strength.kind,
            norm=strength.norm if strength.measured and strength.finite else None,
            rank=module.rank,
            alpha=strength.alpha,
            parameters=sum(
                math.prod(info.shape) for role, info in module.tensors.items() if role not in MAY_BE_INTEGER
            ),
            elements=_elements(module),
            singular_values=strength.singular_values,
            complete=strength.complete,
            counted=takes_part,
        )
        for module, place, strength, takes_part in zip(modules, match.placements, strengths, counted, strict=True)
    )


def _elements(module: ModuleAdapter) -> int | None:
    out, into = module.out_features, module.in_features
    if out is not None and into is not None:
        return out * into * math.prod(module.kernel)
    return out if module.kind in _VECTORS else None


def pack(modules: Sequence[ModuleFacts]) -> bytes:
    """Pack the facts of a file's modules; :func:`unpack` gives them back.

    Norms keep float32's precision, singular values a relative 2e-5.
    """
    columns: dict[str, Any] = {name: [getattr(module, name) for module in modules] for name in _COLUMNS}
    columns["counts"] = [len(module.singular_values) for module in modules]
    columns["unmeasured"] = [i for i, module in enumerate(modules) if module.norm is None]
    norms = np.array([module.norm or 0.0 for module in modules], np.float64)
    largest = np.array([max(module.singular_values, default=0.0) for module in modules], np.float64)
    values = np.array([value for module in modules for value in module.singular_values], np.float64)
    scale = np.repeat(np.where(largest > 0, largest, 1.0), columns["counts"])
    text = orjson.dumps(columns)
    parts = (
        struct.pack("<I", len(text)),
        text,
        _planes(norms.view(np.uint64), _NORM_BYTES),
        _planes(largest.view(np.uint64), _NORM_BYTES),
        _planes((values / scale).astype(np.float32).view(np.uint32), _SHARE_BYTES),
    )
    return bytes([VERSION]) + zlib.compress(b"".join(parts), 6)


def unpack(packed: bytes) -> tuple[ModuleFacts, ...]:
    """The modules that :func:`pack` was given, in their order.

    Raises:
        CatalogError: these are not packed facts, they are damaged, or a later version packed them.
    """
    if packed[:1] != bytes([VERSION]):
        raise _damaged("they are of a version that this program does not know")
    try:
        return _unpack(_inflate(packed[1:]))
    except (zlib.error, orjson.JSONDecodeError, struct.error, ValueError, LookupError, TypeError) as fault:
        raise _damaged(str(fault)) from fault


def _unpack(raw: bytes) -> tuple[ModuleFacts, ...]:
    (length,) = struct.unpack_from("<I", raw)
    columns = orjson.loads(raw[4 : 4 + length])
    counts, rest = columns["counts"], raw[4 + length :]
    modules, total = len(counts), sum(counts)
    if len(rest) != 2 * _NORM_BYTES * modules + _SHARE_BYTES * total:
        raise ValueError("their length is not what they say")
    norms: list[float | None] = list(_from_planes(rest, modules, _NORM_BYTES, np.uint64).view(np.float64).tolist())
    rest = rest[_NORM_BYTES * modules :]
    largest = _from_planes(rest, modules, _NORM_BYTES, np.uint64).view(np.float64)
    shares = _from_planes(rest[_NORM_BYTES * modules :], total, _SHARE_BYTES, np.uint32).view(np.float32)
    values: list[float] = (shares * np.repeat(largest, counts)).tolist()
    for i in columns["unmeasured"]:
        norms[i] = None
    ends = np.cumsum(counts, dtype=np.int64).tolist()
    rows = zip(*(columns[name] for name in _COLUMNS), norms, counts, ends, strict=True)
    return tuple(
        ModuleFacts(
            **dict(zip(_COLUMNS, row, strict=False)),
            norm=row[-3],
            singular_values=tuple(values[row[-1] - row[-2] : row[-1]]),
        )
        for row in rows
    )


def _inflate(packed: bytes) -> bytes:
    stream = zlib.decompressobj()
    raw = stream.decompress(packed, MAX_UNPACKED)
    if not stream.eof or stream.unused_data:
        raise ValueError("they end too early or too late")
    return raw


def _damaged(why: str) -> CatalogError:
    return CatalogError(
        f"The stored facts of a file's modules cannot be read: {why}; index the file again", subject="module_facts"
    )


def _planes(numbers: NDArray[Any], keep: int) -> bytes:
    """The ``keep`` most significant bytes of each number, rounded, all the first ones first."""
    size = numbers.itemsize
    dropped = 8 * (size - keep)
    rounded = numbers + numbers.dtype.type(1 << (dropped - 1)) if dropped else numbers
    octets = rounded.astype(f">u{size}").view(np.uint8).reshape(-1, size)
    return octets[:, :keep].T.tobytes()


def _from_planes(raw: bytes, count: int, keep: int, dtype: type[np.uint32] | type[np.uint64]) -> NDArray[Any]:
    size = np.dtype(dtype).itemsize
    octets = np.zeros((count, size), np.uint8)
    octets[:, :keep] = np.frombuffer(raw, np.uint8, keep * count).reshape(keep, count).T
    return octets.reshape(-1).view(f">u{size}").astype(dtype)


def block_facts(modules: Sequence[ModuleFacts], block_count: int) -> tuple[BlockFacts, ...]:
    """One a block of the layout, in its order; blocks without modules have zero of them."""
    blocks: list[list[ModuleFacts]] = [[] for _ in range(block_count)]
    for module in modules:
        if module.counted and module.block_index is not None and module.block_index < block_count:
            blocks[module.block_index].append(module)
    return tuple(_facts(index, block) for index, block in enumerate(blocks))


def file_facts(modules: Sequence[ModuleFacts]) -> BlockFacts:
    """The same over all counted modules of the file, those outside blocks and of text encoders included."""
    return _facts(None, [module for module in modules if module.counted])


def _facts(block_index: int | None, modules: Sequence[ModuleFacts]) -> BlockFacts:
    measured = [module for module in modules if module.norm is not None]
    sizes = [module.elements for module in modules if module.elements is not None]
    elements = sum(sizes) if sizes and len(sizes) == len(modules) else None
    norm = math.hypot(*(module.norm or 0.0 for module in measured)) if measured else None
    changes = norm is not None and all(module.strength_kind in _CHANGES for module in modules)
    spectral = bool(norm) and changes and all(module.singular_values for module in measured if module.norm)
    largest = max((module.singular_values[0] for module in measured if module.singular_values), default=0.0)
    return BlockFacts(
        block_index=block_index,
        modules=len(modules),
        rank=_most_common(module.rank for module in modules),
        alpha=_most_common(module.alpha for module in modules),
        parameters=sum(module.parameters for module in modules),
        elements=elements,
        norm=norm,
        rms_change=norm / math.sqrt(elements) if norm is not None and changes and elements else None,
        stable_rank=(norm / largest) ** 2 if norm is not None and spectral and largest else None,
        energy_ranks=_energy_ranks(measured, norm) if norm and changes else NO_RANKS,
        singular_values=_largest(measured) if spectral else (),
    )


def _energy_ranks(modules: Sequence[ModuleFacts], norm: float) -> EnergyRanks:
    """The smallest ranks that keep each of :data:`ENERGY_SHARES`, where the known values tell."""
    changing = [module for module in modules if module.norm]
    kept = np.zeros(max((len(module.singular_values) for module in changing), default=0))
    for module in changing:
        kept[: len(module.singular_values)] += np.square(np.array(module.singular_values) / norm)
    kept = np.cumsum(kept)
    # Beyond the end of a spectrum that goes on unseen, a smaller rank than the known values tell might do.
    known = min((len(module.singular_values) for module in changing if not module.complete), default=len(kept))
    ranks = [int(np.searchsorted(kept, share / 100 * (1 - _ROUNDING))) + 1 for share in ENERGY_SHARES]
    first, second, third = (rank if rank <= known else None for rank in ranks)
    return first, second, third


def _largest(modules: Sequence[ModuleFacts]) -> tuple[float, ...]:
    """The largest values of all modules together, down to where an unknown one could stand between them."""
    unknown = max(
        (module.singular_values[-1] for module in modules if module.norm and not module.complete), default=0.0
    )
    values = sorted((value for module in modules for value in module.singular_values), reverse=True)
    return tuple(value for value in values[:BLOCK_VALUES] if value >= unknown)


def _most_common(values: Iterable[T | None]) -> T | None:
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None
