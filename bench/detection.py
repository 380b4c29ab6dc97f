"""What recognising a file costs, from its header alone: parsing, grouping, matching, and the rest of an inspection.

    python bench/detection.py [--rounds 5] [--copies 10] [--json FILE]

The key lists are those of the tests, some of them real files', some written by trainers; each becomes a file with that
header and no data worth speaking of. Three comparisons, all in one run:

* each step's share of a headers-only inspection, for names and shapes that were never met and for those met before;
* matching with all architectures of the registry and with every other one, over the files that both know: the cost of
  a file must not grow with the registry;
* a headers-only index in two processes against two processes that do nothing but parse the same headers with orjson,
  with the files of one key list next to each other, as in a well-kept library, and far apart.

Numbers of one run may be compared with each other, never with those of another run.
"""

# ruff: noqa: E402 - the repository must be on the path before anything is imported from it

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Any
from unittest.mock import patch

import orjson

from bench.marks import load_marks
from lora_weights_builder.inspector import adapters, header, key_grammar, layout_match, structure
from lora_weights_builder.inspector.adapters import group_modules
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.delta_inspector import inspect
from lora_weights_builder.inspector.layout_match import match_layout
from lora_weights_builder.inspector.template_index import TemplateIndex, model_index
from lora_weights_builder.inspector.tensor_file import read_header
from lora_weights_builder.inspector.training_metadata import resolve_base_model, summarise
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.library.workers import ProcessPool
from tests.inspector.key_lists import KEYS, expand, key_list, layout_files

Keys = Mapping[str, Sequence[int]]
WORKERS = 2
VALUE_BYTES = 2
METADATA = {"ss_base_model_version": "sdxl_base_v1-0", "ss_network_dim": "16", "modelspec.title": "a style"}


def key_lists() -> dict[str, Keys]:
    """Name -> key list, each set of names and shapes once."""
    named: dict[str, Keys] = {path.name.removesuffix(".json.gz"): key_list(path.name.removesuffix(".json.gz"))
                              for path in sorted(KEYS.glob("*.json.gz"))}  # fmt: skip
    named |= {path.stem: expand(json.loads(path.read_text(encoding="utf-8"))) for path in layout_files()}
    distinct = {tuple(sorted((key, tuple(shape)) for key, shape in keys.items())): name for name, keys in named.items()}
    return {name: named[name] for name in sorted(distinct.values())}


def write_header(path: Path, keys: Keys) -> None:
    """A file of these tensors, all zero; the data is a hole that takes no room on the disk."""
    header: dict[str, object] = {"__metadata__": METADATA}
    position = 0
    for name, shape in keys.items():
        size = VALUE_BYTES * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [position, position + size]}
        position += size
    text = orjson.dumps(header)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + position)


def parse_only(paths: Iterable[Path]) -> int:
    """Read the headers and parse them, no more: what no reader of them can do without."""
    tensors = 0
    for path in paths:
        with path.open("rb", buffering=0) as file:
            length = int.from_bytes(file.read(8), "little")
            tensors += len(orjson.loads(file.read(length)))
    return tensors


def forget() -> None:
    """Make every name and shape one that was never met."""
    structure._structures.clear()
    layout_match._recent.clear()
    adapters._remembered.clear()
    header._TABLES.clear()
    key_grammar.split_stem.cache_clear()


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def steps_of(path: Path, *, cold: bool) -> dict[str, float]:
    """Seconds of each step of a headers-only inspection of one file."""
    if cold:
        forget()
    times = {"whole": seconds(lambda: inspect(path, measure=False))}
    if cold:
        forget()
    found: list[Any] = []
    times["parse"] = seconds(lambda: found.append(read_header(path)))
    [read] = found
    times["group"] = seconds(lambda: found.append(group_modules(read)))
    modules, unknown = found[1]
    times["match"] = seconds(
        lambda: found.append(match_layout(modules, unknown_tensors=unknown, metadata=read.metadata))
    )
    times["base model, metadata"] = seconds(
        lambda: (resolve_base_model(found[2], read.metadata, None, path.name), summarise(read.metadata))
    )
    times["orjson"] = seconds(lambda: parse_only([path]))
    return times


def steps(paths: Sequence[Path], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds a file of each step, the median of the rounds: ``cold`` and ``met before``."""
    table: dict[str, dict[str, float]] = {}
    for name, cold in (("cold", True), ("met before", False)):
        sums: dict[str, list[float]] = {}
        for _ in range(rounds):
            total: dict[str, float] = {}
            for path in paths:
                if not cold:
                    inspect(path, measure=False)
                for step, took in steps_of(path, cold=cold).items():
                    total[step] = total.get(step, 0.0) + took
            for step, took in total.items():
                sums.setdefault(step, []).append(1e3 * took / len(paths))
        table[name] = {step: statistics.median(values) for step, values in sums.items()}
    return table


def half_registry(paths: Sequence[Path], rounds: int) -> dict[str, float]:
    """Milliseconds a file to match it cold, with all architectures and with every other one.

    Over the files of which all candidates are in the half, so that both find the same.
    """
    everything = model_index()
    known = list(registry().architectures.values())
    half = TemplateIndex((one.id, one.spellings) for one in known[::2])
    kept = {one.id for one in known[::2]}
    files = []
    for path in paths:
        modules, unknown = group_modules(read_header(path))
        match = match_layout(modules, unknown_tensors=unknown)
        candidates = set(match.candidates or [match.architecture])
        if candidates <= kept:
            files.append((modules, unknown))

    def all_cold() -> float:
        took = 0.0
        for modules, unknown in files:
            forget()
            took += seconds(lambda: match_layout(modules, unknown_tensors=unknown))  # noqa: B023 - called at once
        return took

    times: dict[str, list[float]] = {"all": [], "half": []}
    for _ in range(rounds):
        for name, used in (("all", everything), ("half", half)):
            with ExitStack() as patched:
                for module in (structure, layout_match):
                    patched.enter_context(patch.object(module, "model_index", lambda used=used: used))
                times[name].append(1e3 * all_cold() / max(1, len(files)))
    forget()
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "architectures": len(known),
        "files": len(files),
        "all_ms": medians["all"],
        "half_ms": medians["half"],
        "all/half": medians["all"] / medians["half"] if medians["half"] else math.nan,
    }


def headers_index(folder: Path, paths: Sequence[Path], copies: int, rounds: int, *, apart: bool) -> dict[str, float]:
    """Files a second: a headers-only index in two processes, and orjson alone in two processes.

    Files are read in the order of their paths. Copies have the same header to the byte, so next to each other all but
    the first are remembered; ``apart`` puts every other key list between two of them, which few memories outlast.
    """
    folder = folder / ("apart" if apart else "together")
    root = folder / "library"
    root.mkdir(parents=True)
    links: list[Path] = []
    for number in range(copies):
        for path in paths:
            name = f"{number}_{path.stem}" if apart else f"{path.stem}_{number}"
            links.append(root / f"{name}.safetensors")
            links[-1].hardlink_to(path)
    links.sort()
    chunks = [links[start : start + 32] for start in range(0, len(links), 32)]
    rates: dict[str, list[float]] = {"index": [], "orjson": []}
    with (
        ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as parsers,
        ProcessPool(WORKERS) as workers,
    ):
        for number in range(rounds + 1):  # the first one starts the processes and is not counted
            took = seconds(lambda: list(parsers.map(parse_only, chunks)))
            with Catalog.open(folder / f"{number}.db") as catalog:
                options = IndexOptions(headers_only=True)
                indexed = seconds(lambda: index(catalog, [root], executor=workers, options=options))  # noqa: B023
            if number:
                rates["orjson"].append(len(links) / took)
                rates["index"].append(len(links) / indexed)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "files": len(links),
        "index_per_second": medians["index"],
        "orjson_per_second": medians["orjson"],
        "index/orjson": medians["index"] / medians["orjson"],
    }


def run(*, rounds: int = 5, copies: int = 10, most: int | None = None) -> dict[str, Any]:
    """All comparisons over the first ``most`` key lists."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        paths = []
        for name, keys in list(key_lists().items())[:most]:
            paths.append(folder / f"{name}.safetensors")
            write_header(paths[-1], keys)
        return {
            "key_lists": len(paths),
            "steps_ms": steps(paths, rounds),
            "half_registry": half_registry(paths, rounds),
            "copies": copies,
            "headers_index": {
                "together": headers_index(folder, paths, copies, rounds, apart=False),
                "apart": headers_index(folder, paths, copies, rounds, apart=True),
            },
        }


def report(result: Mapping[str, Any]) -> str:
    """The result as a table for people, each figure that has a mark with it."""
    lines = [f"{result['key_lists']} distinct key lists; milliseconds a file, and share of the headers-only inspection"]
    for name, times in result["steps_ms"].items():
        shares = "   ".join(f"{step} {took:.3f} ({took / times['whole']:.0%})" for step, took in times.items())
        lines.append(f"{name:12}{shares}")
    half = result["half_registry"]
    lines.append(
        f"matching cold, {half['files']} files: {half['all_ms']:.3f} ms with all {half['architectures']} "
        f"architectures, {half['half_ms']:.3f} ms with half of them: {half['all/half']:.2f} times"
    )
    for order, found in result["headers_index"].items():
        beside = load_marks()["headers_index"].beside(found["index/orjson"])
        lines.append(
            f"{found['files']} files, {result['copies']} of a kind {order}: {found['index_per_second']:.0f} a second "
            f"indexed by headers, {found['orjson_per_second']:.0f} parsed by orjson alone: {beside}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many is taken")
    parser.add_argument("--copies", type=int, default=10, help="of each file, for the index")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()
    result = run(rounds=arguments.rounds, copies=arguments.copies)
    print(report(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
