"""Every layout of the registry, in every dialect that a data file in ``tests/layouts`` describes.

The files are written from the models' own module tables, not from the registry, so that each checks the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lora_weights_builder.inspector.block_layouts import Architecture, registry
from lora_weights_builder.inspector.key_grammar import parse_key
from lora_weights_builder.records import Key
from tests.inspector.key_lists import expand, layout_files, matched, shown_metadata, told


@pytest.mark.parametrize("file", layout_files(), ids=lambda path: path.stem)
def test_a_file_in_this_dialect_is_recognised_and_every_module_placed(file: Path) -> None:
    case = json.loads(file.read_text("utf-8"))
    expected = case["expected"]
    layout = registry().layouts[case["layout"]]

    modules, match = matched(expand(case), shown_metadata(case), base=case.get("hint"))

    assert match.architecture == case["architecture"]
    assert match.layout_id == case["layout"] == file.stem.partition("__")[0]
    assert match.evidence == expected["evidence"]
    assert list(match.candidates) == expected["candidates"]
    assert match.dialect == expected["dialect"]
    assert match.unmatched_tensor_count == expected.get("unmatched_tensor_count", 0)
    assert match.reason is None
    assert layout.block_count == expected["block_count"]
    assert not [problem for module in modules for problem in module.problems]

    labels: dict[int | None, str] = {block.index: block.label for block in layout.blocks}
    found = {
        tensor.name: (labels.get(place.block_index), place.canonical, module.rank)
        for module, place in zip(modules, match.placements, strict=True)
        for tensor in module.tensors.values()
    }
    for one in told(case):
        label, canonical, rank = found[next(iter(one.tensors))]
        assert label == one.label
        assert one.rank in (None, rank)
        if "canonical" in one.row:
            assert canonical == one.row["canonical"].replace("{i}", str(one.number))
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


def names_by_dialect(architecture: Architecture) -> dict[str, set[str]]:
    """The folded module names of each naming that the registry gives an architecture."""
    names: dict[str, set[str]] = {}
    for spelling in architecture.spellings:
        for i in spelling.indices or (0,):
            folded = spelling.template.replace("{i}", str(i)).replace(".", "_")
            names.setdefault(spelling.dialect, set()).add(folded)
    return names


def model_modules(case: Mapping[str, Any]) -> set[str]:
    """The folded module names of a data file, without those of text encoders."""
    keys = [parse_key(name) for name in expand(case)]
    return {key.module for key in keys if key is not None and key.part == "model"}


def test_every_architecture_has_a_data_file_in_each_of_its_namings() -> None:
    """In native and diffusers names each for itself; single writers' names once, as many models share their parts."""
    tested: dict[str, set[str]] = {}
    for file in layout_files():
        case = json.loads(file.read_text("utf-8"))
        tested.setdefault(case["architecture"], set()).update(model_modules(case))
    anywhere = set().union(*tested.values())
    untested = []
    for architecture in registry().architectures.values():
        spelled = names_by_dialect(architecture)
        for dialect, own in spelled.items():
            others = set().union(*(names for name, names in spelled.items() if name != dialect))
            here = tested.get(architecture.id, set()) if dialect in ("native", "diffusers") else anywhere
            # What only this naming has; where it has nothing of its own, any of its names will do.
            if here.isdisjoint(own - others or own):
                untested.append(f"{architecture.id} in {dialect} names")
    assert untested == []


# One of each sort: flattened, flattened from diffusers, dotted, nested, none at all.
PREFIXES = ["lora_unet_", "lora_transformer_", "diffusion_model.", "base_model.model.diffusion_model.", ""]


def renamed(key: Key, prefix: str) -> str:
    """The tensor's name under another prefix; flattened where the prefix ends in an underscore."""
    rest = key.raw[len(key.root) + len(key.module) :]
    dotted = key.raw[len(key.root) : len(key.raw) - len(rest)]
    if not rest.startswith(".") or dotted.replace(".", "_") != key.module:
        return f"{prefix}{key.module}.{key.role}.weight"  # endings that run into the module ("to_q_lora.down.weight")
    return f"{prefix}{key.module if prefix.endswith('_') else dotted}{rest}"


@pytest.mark.parametrize("file", layout_files(), ids=lambda path: path.stem)
@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix or "bare")
def test_the_same_modules_are_recognised_under_the_prefix_of_every_trainer(file: Path, prefix: str) -> None:
    case = json.loads(file.read_text("utf-8"))
    keys = {key: shape for name, shape in expand(case).items() if (key := parse_key(name)) is not None}
    encoders = {key.raw: shape for key, shape in keys.items() if key.part != "model"}
    model = {renamed(key, prefix): shape for key, shape in keys.items() if key.part == "model"}

    _, match = matched(expand(case), shown_metadata(case), base=case.get("hint"))
    _, again = matched({**model, **encoders}, shown_metadata(case), base=case.get("hint"))

    assert len(model) + len(encoders) == len(keys)
    known, found = {match.architecture, *match.candidates}, {again.architecture, *again.candidates}
    assert known <= found or found <= known  # a prefix may settle a tie of models, and nothing else
    if again.architecture == match.architecture:
        assert again.layout_id == match.layout_id
        assert {place.canonical for place in again.placements} == {place.canonical for place in match.placements}
        assert again.unmatched_tensor_count == match.unmatched_tensor_count
