"""The generated pages are those of the present registry and key lists."""

from __future__ import annotations

from pathlib import Path

import pytest

import write_docs
from lora_weights_builder.inspector.block_layouts import registry
from tests.inspector.key_lists import KEYS, manifest

PAGES = list(write_docs.pages())


@pytest.mark.parametrize(("path", "text"), PAGES, ids=lambda value: value.name if isinstance(value, Path) else "")
def test_a_generated_page_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text("utf-8") == text, "run: python3 dev.py docs"


def test_every_layout_in_use_has_a_section_with_its_labels() -> None:
    text = {path.name: text for path, text in PAGES}["layouts.md"]
    for layout in registry().layouts.values():
        if not layout.legacy:
            section = text.partition(f"\n### {layout.id}\n")[2].partition("\n### ")[0]
            assert f"{layout.block_count} blocks." in section
            assert f"`{layout.blocks[0].label}`" in section


def test_every_key_list_is_told_by_kind_and_origin() -> None:
    known = manifest()
    assert set(known) == {path.name.removesuffix(".json.gz") for path in KEYS.glob("*.json.gz")}
    prefixes = {"trainer-made": "gen_", "published": "published_", "made up": "sample_", "checkpoint": "base_"}
    for name, source in known.items():
        assert name.startswith(prefixes[source["kind"]])
        assert source["repository"]
        assert source["path"]
