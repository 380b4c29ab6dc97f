"""How fast strengths are measured, against a raw read and against the usual way, all in one run.

    python bench/measure.py [--megabytes 200] [--ranks 4,16,32] [--json FILE]

Three ways over the same generated Flux-shaped files, page cache hot:

* ``raw``: read every byte into one reused 1 MB buffer, one thread; the limit.
* ``norms``: load every tensor to float32 and add up the norms; what an indexer without this package does.
* ``ours``: ||dW|| of every module, in one and in two processes, with and without the content hash.

Numbers of one run may be compared with each other, never with those of another run: memory bandwidth of shared
machines swings by a factor of two.
"""

# ruff: noqa: E402 - the environment of the linear algebra must be set before numpy is imported

from __future__ import annotations

import os

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.marks import strengths_mark
from lora_weights_builder.inspector.adapters import group_modules
from lora_weights_builder.inspector.dtypes import decode
from lora_weights_builder.inspector.strengths import measure
from lora_weights_builder.inspector.tensor_file import TensorFile

# Module, outputs, inputs: the attention and MLP weights of one double and one single block.
DOUBLE = (("img_attn_qkv", 9216, 3072), ("img_attn_proj", 3072, 3072), ("img_mlp_0", 12288, 3072),
          ("img_mlp_2", 3072, 12288), ("txt_attn_qkv", 9216, 3072), ("txt_attn_proj", 3072, 3072),
          ("txt_mlp_0", 12288, 3072), ("txt_mlp_2", 3072, 12288))  # fmt: skip
SINGLE = (("linear1", 21504, 3072), ("linear2", 3072, 15360), ("modulation_lin", 9216, 3072))
ROUNDS = 5


def write_file(path: Path, rank: int, dtype: str, blocks: tuple[int, int]) -> None:
    """A LoRA of ``blocks`` double and single blocks, keys in the order in which trainers save them."""
    rng = np.random.default_rng(rank)
    names = [(f"lora_unet_double_blocks_{i}_{name}", o, n) for i in range(blocks[0]) for name, o, n in DOUBLE]
    names += [(f"lora_unet_single_blocks_{i}_{name}", o, n) for i in range(blocks[1]) for name, o, n in SINGLE]
    header: dict[str, object] = {"__metadata__": {"ss_network_dim": str(rank)}}
    position = 0
    with path.open("wb") as file:
        parts = []
        for module, out, into in names:
            for role, shape in (("alpha", ()), ("lora_down.weight", (rank, into)), ("lora_up.weight", (out, rank))):
                values = rng.normal(0, 0.02, shape).astype(np.float32) if shape else np.full((), rank / 2, np.float32)
                data = values.astype("<f2") if dtype == "F16" else (values.view("<u4") >> 16).astype("<u2")
                size = data.nbytes
                offsets = [position, position + size]
                header[f"{module}.{role}"] = {"dtype": dtype, "shape": list(shape), "data_offsets": offsets}
                position += size
                parts.append(data.tobytes())
        text = json.dumps(header, separators=(",", ":")).encode()
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(parts)


def read_raw(path: Path) -> float:
    """Every byte into one reused buffer."""
    buffer = memoryview(bytearray(2**20))
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return 0.0


def sum_of_norms(path: Path) -> float:
    """Load every tensor, add the norms: the usual way."""
    total = 0.0
    with TensorFile.open(path) as file:
        for info in file.header.tensors:
            raw = file.read_bytes(info.start, info.end)
            values = raw.view("<f2").astype(np.float32) if info.dtype == "F16" else decode(raw, info.dtype)
            total += float(np.linalg.norm(values))
    return total


def strengths_only(path: Path) -> float:
    """||dW|| of every module."""
    return _ours(path, hash_content=False)


def strengths_and_hash(path: Path) -> float:
    """||dW|| of every module and the content hash, in one pass."""
    return _ours(path, hash_content=True)


def _ours(path: Path, *, hash_content: bool) -> float:
    with TensorFile.open(path) as file:
        modules, _ = group_modules(file.header)
        measured = measure(file, modules, hash_content=hash_content)
    return sum(strength.norm for strength in measured.strengths)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(paths: Sequence[Path], pool: ProcessPoolExecutor) -> dict[str, float]:
    """MB/s of each way, the median of paired rounds."""
    total = sum(path.stat().st_size for path in paths) / 1e6
    ways: dict[str, Callable[[], object]] = {
        "raw": lambda: [read_raw(path) for path in paths],
        "norms": lambda: [sum_of_norms(path) for path in paths],
        "ours": lambda: [strengths_only(path) for path in paths],
        "ours+hash": lambda: [strengths_and_hash(path) for path in paths],
        "ours x2": lambda: list(pool.map(strengths_only, paths)),
        "ours+hash x2": lambda: list(pool.map(strengths_and_hash, paths)),
    }
    for work in ways.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            times[name].append(seconds(work))
    return {name: total / statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200, help="of files for each rank and dtype")
    parser.add_argument("--ranks", default="4,16,32,64,128")
    parser.add_argument("--dtypes", default="F16,BF16")
    parser.add_argument("--json", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    results = []
    print(f"{'':12}{'raw':>8}{'norms':>8}{'ours':>8}{'+hash':>8}{'x2':>8}{'x2+hash':>8}  x2/norms   x2/raw (its mark)")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
    ):
        for rank in map(int, arguments.ranks.split(",")):
            for dtype in arguments.dtypes.split(","):
                paths: list[Path] = []
                while sum(path.stat().st_size for path in paths) < arguments.megabytes * 1e6 or len(paths) % 2:
                    path = Path(folder) / f"{len(paths)}.safetensors"
                    if not path.exists() or not paths:
                        write_file(path, rank, dtype, (19, 38) if rank < 64 else (5, 10))
                    paths.append(path)
                speed = compare(paths, pool)
                results.append({"rank": rank, "dtype": dtype, "megabytes_per_second": speed})
                columns = "".join(f"{value:8.0f}" for value in speed.values())
                ratio, mark = speed["ours x2"] / speed["raw"], strengths_mark(rank)
                beside = mark.beside(ratio) if mark else f"{ratio:.2f} (no mark)"
                ratios = f"{speed['ours x2'] / speed['norms']:10.1f}   {beside}"
                print(f"r{rank:<4}{dtype:7}{columns}{ratios}", flush=True)
                for path in Path(folder).iterdir():
                    path.unlink()
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
