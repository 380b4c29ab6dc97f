"""Write the generated parts of the pages in ``docs/``: what the registry holds, and what the tests' key lists give.

Usage: ``python scripts/write_docs.py [--check]``. ``--check`` writes nothing and exits 1 where a page is
not up to date.

A page keeps its hand-written text down to a mark; what stands below is replaced. Examples and results come from the
data files of the tests, so that a page shows nothing that no test has seen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "src"), str(REPOSITORY)]

from lora_weights_builder.inspector.block_layouts import registry  # noqa: E402  (needs the path above)
from lora_weights_builder.inspector.loaders import Reach, reach_of  # noqa: E402
from lora_weights_builder.inspector.registry_model import Layout  # noqa: E402
from tests.inspector.key_lists import key_list, layout_files, manifest, matched, told  # noqa: E402

BEGIN: Final = "<!-- Written by `python3 dev.py docs`; edit above this line. -->\n"
_NOTHING: Final = "-"


def main() -> int:
    """Write or check the pages; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if a page is not up to date; write nothing")
    options = parser.parse_args()
    stale = {path: text for path, text in pages() if path.read_text("utf-8") != text}
    if options.check:
        for path in stale:
            print(f"{path} is not up to date; run scripts/write_docs.py", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    return 0


def pages() -> Iterator[tuple[Path, str]]:
    """Each page with generated parts, and the text it should have."""
    parts: dict[str, Callable[[], Iterator[str]]] = {"layouts.md": _layouts, "detection.md": _results}
    for name, lines in parts.items():
        path = REPOSITORY / "docs" / name
        written, mark, _ = path.read_text("utf-8").partition(BEGIN)
        if not mark:
            raise SystemExit(f"{path} has lost the line {BEGIN.strip()!r}.")
        yield path, written + BEGIN + "\n" + "\n".join(lines()).rstrip() + "\n"


# --- layouts.md


def _layouts() -> Iterator[str]:
    known = [layout for layout in registry().layouts.values() if not layout.legacy]
    yield "## What a label means\n"
    yield from _table(("label", "is", "layouts"), _labels(known))
    yield "## Loaders\n"
    yield from _table(("loader", "of", "how it addresses blocks"), _loaders())
    yield "## Layouts\n"
    yield from _table(
        ("layout", "blocks", "what it is"),
        ((f"[`{one.id}`](#{one.id})", str(one.block_count), one.title) for one in known),
    )
    spellings = _spellings()
    for layout in known:
        yield from _layout(layout, spellings.get(layout.id, []))


def _labels(layouts: Sequence[Layout]) -> Iterator[tuple[str, ...]]:
    """One row an abbreviation and meaning, with the layouts that use it."""
    uses: dict[tuple[str, str], list[Layout]] = {}
    for layout in layouts:
        for group in layout.groups:
            uses.setdefault((group.abbreviation, group.title), []).append(layout)
    for (abbreviation, title), used in sorted(uses.items()):
        yield f"`{abbreviation}00` ...", title, ", ".join(f"`{layout.id}`" for layout in used)


def _loaders() -> Iterator[tuple[str, ...]]:
    for loader in registry().loaders.values():
        lengths = ", ".join(str(length) for length in sorted(len(form.entries) for form in loader.forms))
        how = {
            "sections": "by position: one number for all that is in no block, then one for each block that the file "
            f"holds, in {', '.join(f'`{section}`' for section in loader.sections)}, in this order",
            "entries": f"by name: a vector of exactly {lengths} numbers",
            "none": "not at all: one number for the whole file",
        }[loader.addressing]
        yield f"{loader.name} (`{loader.id}`)", loader.program, how


def _layout(layout: Layout, spellings: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    yield f"### {layout.id}\n"
    known = registry()
    yield f"{layout.title}. {layout.block_count} blocks.\n"
    yield from _table(
        ("blocks", "group", "count"),
        (
            (_range(f"{group.abbreviation}{{:02d}}", range(group.count)), group.title, str(group.count))
            for group in layout.groups
        ),
    )
    if layout.part_of:
        yield f"* Part of [`{layout.part_of}`](#{layout.part_of}), for files that hold nothing of the rest."
    if layout.kind == "fallback":
        yield "* Shown where a file of this base model could not be measured; its blocks are placeholders.\n"
        return
    owners = [known.architectures[one] for one in layout.architectures]
    yield f"* Models: {', '.join(f'{one.name} (`{one.id}`)' for one in owners)}."
    encoders = {f"{known.encoders[each].name} (`{each}`)": None for one in owners for each in one.encoders}
    if encoders and not layout.encoders:
        yield f"* Text encoders that a file may train besides: {', '.join(encoders)}. Their layers are no blocks here."
    reached = [reach for loader in known.loaders.values() if (reach := reach_of(known, loader, layout)).entries]
    for reach in reached:
        yield f"* {reach.loader.name}: {_reach(reach, layout)}."
    if not reached:
        yield "* No loader above can give these blocks strengths of their own."
    if spellings:
        yield ""
        yield from _table(("spelling", "architecture", "a key, for example"), spellings)
    else:
        yield ""


def _reach(reach: Reach, layout: Layout) -> str:
    labels = {block.index: block.label for block in layout.blocks}
    missing = [label for index, label in labels.items() if index not in reach.entries]
    part = f" (not {_span(missing)})" if missing else ""
    if reach.loader.addressing == "sections":
        return f"every block{part}, with a vector of {reach.lengths[0]} numbers where the file holds them all"
    full, *short = reach.lengths
    shorter = f", or {' or '.join(map(str, short))} that name fewer blocks" if short else ""
    return f"every block{part}, with {full} numbers{shorter}"


def _span(labels: Sequence[str]) -> str:
    return f"`{labels[0]}`" if len(labels) == 1 else f"`{labels[0]}` to `{labels[-1]}`"


def _range(form: str, numbers: range) -> str:
    return _span([form.format(number) for number in numbers])


def _spellings() -> dict[str, list[tuple[str, str, str]]]:
    """Layout -> (spelling, architecture, example key), one a data file."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for file in layout_files():
        case: dict[str, Any] = json.loads(file.read_text("utf-8"))
        example = next(one for one in told(case) if one.label is not None)
        spelling = file.stem.partition("__")[2].replace("_", " ")
        row = (spelling, f"`{case['architecture']}`", f"`{next(iter(example.tensors))}`")
        found.setdefault(case["layout"], []).append(row)
    return found


# --- detection.md


def _results() -> Iterator[str]:
    heads = (
        "list", "kind", "tensors", "architecture", "could also be",
        "layout", "decided by", "adapters", "rank", "unknown",
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    reasons: list[tuple[str, str]] = []
    for name, source in manifest().items():
        keys = key_list(name)
        modules, match = matched(keys)
        ranks = Counter(module.rank for module in modules if module.rank is not None).most_common(1)
        kinds = sorted({module.kind for module in modules} | ({"dora"} if any(m.dora for m in modules) else set()))
        rows.append(
            (
                f"`{name}`",
                source["kind"],
                str(len(keys)),
                f"`{match.architecture}`" if match.architecture else _NOTHING,
                ", ".join(f"`{one}`" for one in match.candidates if one != match.architecture) or _NOTHING,
                f"`{match.layout_id}`" if match.layout_id else _NOTHING,
                match.evidence or _NOTHING,
                ", ".join(kinds) or _NOTHING,
                str(ranks[0][0]) if ranks else _NOTHING,
                str(match.unmatched_tensor_count),
            )
        )
        if match.reason:
            reasons.append((f"`{name}`", match.reason))
    yield f"{sum(1 for row in rows if row[5] != _NOTHING)} of {len(rows)} lists have a layout.\n"
    yield from _table(heads, rows)
    yield "What is said of the lists that have none:\n"
    yield from _table(("list", "reason"), reasons)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


if __name__ == "__main__":
    raise SystemExit(main())
