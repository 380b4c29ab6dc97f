"""What a large library costs to ask: a catalogue of entries that no file stands behind, and questions to it.

    python bench/large_library.py [--entries 100000] [--database FILE] [--rounds 5] [--json FILE]

The entries go in through the indexer's own store, a tenth of them with tags, some with a choice made by hand. With
``--database`` the catalogue is kept and used again. Each figure is the median of the rounds, in milliseconds.
"""

# ruff: noqa: E402 - the repository must be on the path before anything is imported from it

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import blake3

from lora_weights_builder.inspector.block_layouts import Layout, registry
from lora_weights_builder.library import index_store, rows
from lora_weights_builder.library.catalog import Catalog, save_root
from lora_weights_builder.library.conventions import load_conventions
from lora_weights_builder.library.index_store import Place
from lora_weights_builder.library.inspections import FACTS
from lora_weights_builder.library.organise import Change
from lora_weights_builder.records import (
    BlockStrength,
    FileStamp,
    FolderHint,
    LoraRecord,
    MetadataSummary,
    SearchQuery,
)

BATCH = 2_000
WORDS = ("ink", "coat", "river", "portrait", "neon", "wool", "castle", "film", "anime", "grain", "moss", "steel")
ADAPTERS = ("lora", "lora", "lora", "locon", "loha", "lokr", "dora")
RANKS = (4, 8, 16, 16, 32, 32, 64, 128, 256)


def make(catalog: Catalog, entries: int) -> None:
    """Fill an empty catalogue with ``entries`` entries, always the same ones."""
    chance = random.Random(7)
    conventions = load_conventions()
    known = [one for one in registry().architectures.values() if one.base_code]
    counters: dict[str, int] = {}
    at = rows.now()
    with catalog.database.writing() as connection:
        root_id = save_root(connection, "/large")
    for first in range(0, entries, BATCH):
        new = []
        for number in range(first, min(first + BATCH, entries)):
            # Few models and categories make up most of a library, and all the others are there as well.
            architecture = known[min(int(chance.expovariate(0.2)), len(known) - 1)]
            category = conventions.categories[min(int(chance.expovariate(0.5)), len(conventions.categories) - 1)]
            base = registry().base_models[str(architecture.base_code)]
            hint = FolderHint(base.code, base.name, category.code, category.name, category.role)
            record = _record(number, hint, architecture.id, registry().layouts[architecture.layout_id], chance)
            prefix = f"{base.code}-{category.code}"
            counters[prefix] = counters.get(prefix, 0) + 1
            relative = f"{base.name}/{category.number:02} - {category.name}/{record.filename}"
            stamp = FileStamp(record.size_bytes, 1_700_000_000_000_000_000 + number, 0, number)
            place = Place(f"/large/{relative}", relative, root_id, stamp, rows.hint_text(hint))
            columns = rows.columns(record, hint) | {FACTS: None}
            new.append((f"{prefix}-{counters[prefix]:03}", None, place, columns))
        with catalog.database.writing() as connection:
            index_store.add_entries(connection, new, at)
    with catalog.database.writing() as connection:
        index_store.mark_duplicates(connection)
    _organise(catalog, chance)


def _record(number: int, hint: FolderHint, architecture: str, layout: Layout, chance: random.Random) -> LoraRecord:
    words = chance.sample(WORDS, 3)
    content = number // 2 if number % 50 == 1 else number  # one in fifty is the copy of the one before
    digest = blake3.blake3(str(content).encode()).hexdigest()
    fails, fallback, pending = (chance.random() < share for share in (0.01, 0.02, 0.01))
    measured = not (fails or fallback or pending)
    strengths = [chance.random() * 3 for _ in layout.blocks] if measured else []
    largest = max(strengths, default=0.0)
    return LoraRecord(
        file_path="",
        filename=f"{words[0]}_{words[1]}_{number:06}.safetensors",
        size_bytes=20_000_000 + chance.randrange(300_000_000),
        content_hash=digest if measured else None,
        table_hash=digest,
        architecture=None if fails else architecture,
        model_family=layout.family,
        base_model_code=hint.base_model_code or "UNK",
        base_model_name=hint.base_model_name,
        lora_type="lora",
        adapter_types=() if fails else (chance.choice(ADAPTERS),),  # type: ignore[arg-type]
        rank=None if fails else chance.choice(RANKS),
        alpha=16.0,
        block_layout=None if fails else layout.id,
        block_count=0 if fails else layout.block_count,
        has_block_weights=measured,
        measured=not pending,
        fallback=fallback,
        fallback_reason="nothing in the file could be measured" if fallback else None,
        tensor_count=layout.block_count * 6,
        error="the header is cut off" if fails else None,
        error_code="bad_header" if fails else None,
        warnings=("folder_contradiction: the folder says one thing, the tensors another",) * (chance.random() < 0.01),
        blocks=tuple(
            BlockStrength(block.index, block.label, block.group, round(raw / largest, 6), raw)
            for block, raw in zip(layout.blocks, strengths, strict=False)
        ),
        metadata={"ss_tag_frequency": "x" * 1_500},
        summary=MetadataSummary(title=f"{words[2]} {number}", trigger_words=tuple(words)),
    )


def _organise(catalog: Catalog, chance: random.Random) -> None:
    conventions = load_conventions()
    ids = [row.stable_id for row in catalog.iterate(SearchQuery())]
    chosen = chance.sample(ids, max(1, len(ids) // 10))
    for first in range(0, len(chosen), 500):
        some = chosen[first : first + 500]
        catalog.organise(some, Change(add_tags=("to sort", chance.choice(WORDS), chance.choice(WORDS))), conventions)
    catalog.organise(chosen[:1000], Change(favourite=True, category="STL"), conventions)


def questions(catalog: Catalog) -> dict[str, Callable[[], object]]:
    """What the library page asks, by name."""
    total = catalog.summary().total_loras
    asked = {
        "first page": SearchQuery(),
        "last page": SearchQuery(offset=max(0, total - 50)),
        "one base": SearchQuery(base="SDX"),
        "one base, by size": SearchQuery(base="SDX", sort="-size"),
        "one category": SearchQuery(category="NAT"),
        "one layout": SearchQuery(layout="zimage_transformer_34"),
        "one layout, last": SearchQuery(layout="zimage_transformer_34", sort="-added"),
        "one architecture": SearchQuery(architecture="zimage"),
        "one role": SearchQuery(role="pose"),
        "one adapter": SearchQuery(adapter="dora"),
        "nothing has it": SearchQuery(base="ACE", category="NAT", layout="zimage_transformer_34"),
        "text, rare": SearchQuery(text="river_00001"),
        "text, common": SearchQuery(text="coat"),
        "text, two letters": SearchQuery(text="co"),
        "ranks 9 to 16": SearchQuery(rank_min=9, rank_max=16),
        "rank 256": SearchQuery(rank_min=129, sort="filename"),
        "one tag": SearchQuery(tags=("to sort",)),
        "favourites": SearchQuery(favourite=True),
        "nothing to report": SearchQuery(state="ok"),
        "contradictions": SearchQuery(state="contradiction", sort="filename"),
        "duplicates": SearchQuery(state="duplicate"),
        "unreadable": SearchQuery(state="unreadable", sort="-modified"),
        **{f"by {sort}": SearchQuery(sort=f"-{sort}") for sort in ("architecture", "role", "adapter", "blocks")},
    }
    counted = {
        "facets": SearchQuery(),
        "facets, one base": SearchQuery(base="SDX"),
        "facets, one base and ranks": SearchQuery(base="SDX", rank_min=9, rank_max=16),
        "facets, rare text": SearchQuery(text="river_00001"),
        "facets, common text": SearchQuery(text="coat"),
        "facets, two letters": SearchQuery(text="co"),
        "facets, one tag": SearchQuery(tags=("to sort",)),
        "facets, contradictions": SearchQuery(state="contradiction"),
    }
    return {
        **{name: partial(catalog.search, query) for name, query in asked.items()},
        **{name: partial(catalog.facets, query) for name, query in counted.items()},
    }


def measure(catalog: Catalog, rounds: int) -> dict[str, float]:
    """Question -> milliseconds, the median of ``rounds`` after one that does not count."""
    return {name: round(statistics.median(_times(ask, rounds)), 1) for name, ask in questions(catalog).items()}


def _times(ask: Callable[[], object], rounds: int) -> Iterator[float]:
    ask()
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        yield (time.perf_counter() - began) * 1000


def run(database: Path, entries: int, rounds: int) -> dict[str, Any]:
    """Make the catalogue where there is none, and ask it."""
    with Catalog.open(database) as catalog:
        began = time.perf_counter()
        if catalog.summary().total_loras == 0:
            make(catalog, entries)
        made = time.perf_counter() - began
        return {
            "entries": catalog.summary().total_loras,
            "made_seconds": round(made, 1),
            "database_megabytes": round(database.stat().st_size / 1e6, 1),
            "milliseconds": measure(catalog, rounds),
        }


def report(result: dict[str, Any]) -> str:
    """The result as lines for people."""
    head = f"{result['entries']} entries, {result['database_megabytes']} MB, made in {result['made_seconds']} s"
    return "\n".join([head, *(f"{ms:9.1f} ms  {name}" for name, ms in result["milliseconds"].items())])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--database", type=Path, help="made where it is not there, and kept")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the result there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(options.database or Path(folder) / "large.db", options.entries, options.rounds)
    print(report(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
