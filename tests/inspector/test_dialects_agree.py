"""Every architecture at its full number of blocks, written in each of its spellings: one layout, one set of strengths.

The same rank-1 change of every weight is saved under the native names and under another writer's, cut into the row
slices that the writer makes of fused weights. Only the names differ, so no answer may.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lora_weights_builder.inspector.block_layouts import Architecture, registry
from lora_weights_builder.inspector.delta_inspector import inspect
from lora_weights_builder.inspector.registry_model import Spelling
from lora_weights_builder.records import FolderHint
from tests.inspector.lora_files import write

Factors = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]  # canonical -> A [1, in, *kernel], B [out, 1]
Name = Callable[[str], tuple[str, str]]  # a module's template with its number -> the names of A and B


def peft(prefix: str) -> Name:
    return lambda module: (f"{prefix}{module}.lora_A.weight", f"{prefix}{module}.lora_B.weight")


def kohya(module: str) -> tuple[str, str]:
    flat = f"lora_unet_{module.replace('.', '_')}"
    return f"{flat}.lora_down.weight", f"{flat}.lora_up.weight"


def processor(module: str) -> tuple[str, str]:
    stem = module if module.endswith(("_lora1", "_lora2")) else f"{module}_lora"
    return f"{stem}.down.weight", f"{stem}.up.weight"


# spelling -> the ways in which its names are written down
WRITERS: dict[str, list[Name]] = {
    "native": [kohya],
    "diffusers": [peft("transformer."), peft("base_model.model.")],
    "xlabs": [processor],
    "processor": [processor],
}


def spellings_of(architecture: Architecture) -> set[str]:
    """The spellings that name matrices in blocks; a few name only tables and norms."""
    return {
        one.dialect for one in architecture.spellings if one.kind == "block" and any(len(s) > 1 for s in one.shapes)
    }


CASES = [
    (one.id, spelling, number)
    for one in registry().architectures.values()
    for spelling in sorted(spellings_of(one))
    for number in range(len(WRITERS.get(spelling, [peft("")])))
]


def weights_of(architecture: Architecture, spelling: str) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
    """Canonical name without slices -> the modules that stand for it in this spelling, in the order of their rows."""
    found: dict[str, dict[int, tuple[str, tuple[int, ...]]]] = {}
    for one in architecture.spellings:
        if one.dialect == spelling and one.shapes and len(one.shapes[0]) > 1:
            for module, canonical in _numbered(one):
                whole, _, part = canonical.partition("#")
                found.setdefault(whole, {})[int(part or 0)] = (module, one.shapes[0])
    return {whole: [parts[number] for number in sorted(parts)] for whole, parts in found.items()}


def _numbered(one: Spelling) -> Iterator[tuple[str, str]]:
    for number in one.indices or (0,):
        yield one.template.replace("{i}", str(number)), one.canonical.replace("{i}", str(number))


def factors_of(architecture: Architecture, chosen: set[str]) -> Factors:
    """One change for each weight, the same in whatever spelling it is asked for."""
    made = {}
    for whole, parts in weights_of(architecture, "native").items():
        if whole in chosen and len(parts) == 1:
            shape = parts[0][1]
            rng = np.random.default_rng(zlib.crc32(whole.encode()))
            strength = rng.uniform(0.2, 2.0)
            down = rng.standard_normal((1, *shape[1:]), np.float32) * strength / np.sqrt(np.prod(shape[1:]))
            made[whole] = (down.astype(np.float32), rng.standard_normal((shape[0], 1), np.float32))
    return made


def tensors(architecture: Architecture, spelling: str, name: Name, factors: Factors) -> dict[str, NDArray[np.float32]]:
    written: dict[str, NDArray[np.float32]] = {}
    for whole, parts in weights_of(architecture, spelling).items():
        if whole not in factors:
            continue
        down, up = factors[whole]
        start = 0
        for module, shape in parts:
            first, second = name(module)
            written[first] = down
            rows = up[start : start + shape[0]]
            written[second] = rows.reshape(*rows.shape, *[1] * (down.ndim - 2))
            start += shape[0]
        assert start == len(up)
    return written


@pytest.mark.parametrize(("architecture_id", "spelling", "number"), CASES)
def test_another_spelling_changes_no_answer(architecture_id: str, spelling: str, number: int, tmp_path: Path) -> None:
    architecture = registry().architectures[architecture_id]
    name = WRITERS.get(spelling, [peft("")])[number]
    hint = FolderHint(base_model_code=architecture.base_code)
    shared = set(weights_of(architecture, "native")) & set(weights_of(architecture, spelling))
    factors = factors_of(architecture, shared)
    assert factors

    native = tensors(architecture, "native", peft("diffusion_model."), factors)
    other = tensors(architecture, spelling, name, factors)
    expected = inspect(write(tmp_path / "native.safetensors", native, "F16"), hint=hint)
    answer = inspect(write(tmp_path / "other.safetensors", other, "F16"), hint=hint)

    assert architecture_id in (answer.architecture, *answer.ambiguous_architectures)
    assert answer.block_layout == expected.block_layout in architecture.layouts
    assert answer.unmatched_tensor_count == expected.unmatched_tensor_count == 0
    assert not answer.error
    assert [(block.label, block.group) for block in answer.blocks] == [
        (block.label, block.group) for block in expected.blocks
    ]
    found, wanted = (np.array([block.raw_strength for block in one.blocks], float) for one in (answer, expected))
    assert np.allclose(found, wanted, rtol=1e-5, atol=0)
    assert [block.present for block in answer.blocks] == [block.present for block in expected.blocks]
    if spelling in ("native", "diffusers"):
        assert all(block.present for block in answer.blocks)
