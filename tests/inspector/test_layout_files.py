"""Every layout of the registry, in every dialect that a data file in ``tests/layouts`` describes.

The files are written from the models' own module tables, not from the registry, so that each checks the other.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lora_weights_builder.inspector.block_layouts import registry
from tests.inspector.key_lists import expand, layout_files, matched, numbers


@pytest.mark.parametrize("file", layout_files(), ids=lambda path: path.stem)
def test_a_file_in_this_dialect_is_recognised_and_every_module_placed(file: Path) -> None:
    case = json.loads(file.read_text("utf-8"))
    expected = case["expected"]
    layout = registry().layouts[case["layout"]]

    modules, match = matched(expand(case), base=case.get("hint"))

    assert match.architecture == case["architecture"]
    assert match.layout_id == case["layout"] == file.stem.partition("__")[0]
    assert match.evidence == expected["evidence"]
    assert list(match.candidates) == expected["candidates"]
    assert match.dialect == expected["dialect"]
    assert match.unmatched_tensor_count == 0
    assert match.reason is None
    assert layout.block_count == expected["block_count"]
    assert {module.rank for module in modules} == {case["rank"]}
    assert not [problem for module in modules for problem in module.problems]

    labels: dict[int | None, str] = {block.index: block.label for block in layout.blocks}
    found = {
        next(iter(module.tensors.values())).name: (labels.get(place.block_index), place.canonical)
        for module, place in zip(modules, match.placements, strict=True)
    }
    first = next(iter(case["factors"]))
    for row in case["modules"]:
        for i in numbers(row):
            label, canonical = found[f"{row['key'].replace('{i}', str(i))}.{first}"]
            wanted = row["block"] if "block" in row else row["label"] and f"{row['label']}{i:02d}"
            assert label == wanted
            if "canonical" in row:
                assert canonical == row["canonical"].replace("{i}", str(i))
    present = {place.block_index for place in match.placements} - {None}
    assert len(present) == expected["blocks_present"]
    assert set(expected["labels"]) <= {labels[index] for index in present if index is not None}


PARTS = {
    "attention": re.compile(r"attn|attention|qkv|to_[qkv]|linear1"),
    "feed-forward": re.compile(r"mlp|ff|feed|ffn|linear2"),
    "blocks": re.compile(r"\{i\}|blocks?[._]\d|layers[._]\d"),
    "first block": re.compile(r"\{i\}"),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("file", layout_files(), ids=lambda path: path.stem)
def test_a_part_of_such_a_file_never_leads_to_another_model(file: Path, part: str) -> None:
    """Trainers often leave most modules alone. What is left may fit several models; the right one is among them."""
    case = json.loads(file.read_text("utf-8"))
    rows = [row for row in case["modules"] if PARTS[part].search(row["key"])]
    if part == "first block":
        rows = [{**row, "count": 1} for row in rows]

    _, match = matched(expand({**case, "modules": rows}))

    assert not rows or case["architecture"] in (match.architecture, *match.candidates)


def test_every_layout_has_a_data_file() -> None:
    described = {file.stem.partition("__")[0] for file in layout_files()}
    measured = {layout.id for layout in registry().layouts.values() if layout.kind != "fallback" and not layout.legacy}
    assert described == measured


def test_every_architecture_has_a_data_file() -> None:
    described = {json.loads(file.read_text("utf-8"))["architecture"] for file in layout_files()}
    assert described == set(registry().architectures)
