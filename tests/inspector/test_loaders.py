"""What loaders can address: the lengths and places that the loaders themselves read."""

from __future__ import annotations

import pytest

from lora_weights_builder.errors import RegistryError
from lora_weights_builder.inspector import registry_loader
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.loaders import Reach, reach_of
from tests.inspector.test_block_layouts import toml_files


def reach(loader: str, layout: str) -> Reach:
    return reach_of(registry(), registry().loaders[loader], registry().layouts[layout])


LENGTHS = [
    ("inspire", "flux_unet_57", (58,)),
    ("inspire", "flux_transformer_38", (39,)),
    ("inspire", "flux_double_19", (20,)),
    ("inspire", "sd15_unet_25", (28,)),  # 27 without input_blocks.0, which few trainers touch
    ("inspire", "sdxl_unet_19", (22,)),  # 21 without it
    ("inspire", "wan_transformer_40", ()),
    ("inspire", "wanvace_transformer_48", ()),
    ("inspire", "flux_te_36", ()),
    ("inspire", "flux_fallback_16", ()),
    ("lbw", "flux_unet_57", (61,)),
    ("lbw", "flux_transformer_38", (61,)),
    ("lbw", "sd15_unet_25", (26, 17)),
    ("lbw", "sdxl_unet_19", (20, 12)),
    ("lbw", "wan_transformer_30", ()),
    ("lbw", "sdxl_te_44", ()),
    ("sd_scripts_lbws", "sd15_unet_25", (26, 17)),
    ("sd_scripts_lbws", "sdxl_unet_19", (20, 12)),
    ("sd_scripts_lbws", "flux_unet_57", ()),
    ("comfyui", "sdxl_unet_19", ()),
]


@pytest.mark.parametrize(("loader", "layout", "lengths"), LENGTHS)
def test_a_vector_has_the_length_that_the_loader_reads(loader: str, layout: str, lengths: tuple[int, ...]) -> None:
    found = reach(loader, layout)
    assert found.lengths == lengths
    assert bool(found.entries) == bool(lengths)


def test_positional_entries_name_the_native_places_of_each_block() -> None:
    sdxl = reach("inspire", "sdxl_unet_19").entries
    assert sdxl[4] == ("input_blocks.4",)
    assert sdxl[9] == ("middle_block.0", "middle_block.1", "middle_block.2")
    assert sdxl[18] == ("output_blocks.8",)
    single = reach("inspire", "flux_transformer_38").entries
    assert (single[0], single[37], len(single)) == (("single_blocks.0",), ("single_blocks.37",), 38)


def test_named_entries_are_the_labels_of_the_blocks() -> None:
    for layout_id in ("flux_unet_57", "flux_double_19", "sd15_unet_25", "sdxl_unet_19"):
        entries = reach("lbw", layout_id).entries
        assert [entries[block.index] for block in registry().layouts[layout_id].blocks] == [
            (block.label,) for block in registry().layouts[layout_id].blocks
        ]


def test_the_forms_of_the_named_loader_have_the_lengths_it_accepts() -> None:
    assert sorted(len(form.entries) for form in registry().loaders["lbw"].forms) == [12, 17, 20, 26, 61]
    assert sorted(len(form.entries) for form in registry().loaders["sd_scripts_lbws"].forms) == [12, 17, 20, 26]
    by_length = {len(form.entries): set(form.entries) for form in registry().loaders["lbw"].forms}
    assert by_length[17] < by_length[26]
    assert by_length[12] < by_length[20]


def with_extra_stack(native: str, title: str) -> dict[str, str]:
    """A model of seven blocks beside the registry: four double blocks and three of a further stack."""
    extra = f"""
        [[layouts]]
        id = "toy_transformer_7"
        family = "flux"
        kind = "transformer"
        title = "Toy"
        groups = [
          {{ key = "extra", title = "{title}", abbreviation = "X", count = 3 }},
          {{ key = "double", title = "Double blocks", abbreviation = "D", count = 4 }},
        ]
        [[components]]
        id = "toy"
        weights = [{{ name = "linear", shape = ["width", "width"] }}]
        [[architectures]]
        id = "toy"
        name = "Toy"
        family = "flux"
        layout = "toy_transformer_7"
        base_code = "FLX"
        sizes = {{ width = 8 }}
        stacks = [
          {{ group = "extra", components = ["toy"], native = "{native}" }},
          {{ group = "double", components = ["toy"], native = "double_blocks.{{i}}" }},
        ]
    """
    return {**toml_files(), "toy.toml": extra}


def test_blocks_outside_the_sections_are_not_addressable_and_their_neighbours_are() -> None:
    known = registry_loader.load(with_extra_stack("distilled_guidance_layer.layers.{i}", "Approximator"))
    found = reach_of(known, known.loaders["inspire"], known.layouts["toy_transformer_7"])
    assert found.entries == {3 + i: (f"double_blocks.{i}",) for i in range(4)}
    assert found.lengths == (5,)
    assert reach_of(known, known.loaders["lbw"], known.layouts["toy_transformer_7"]).entries == {}


def test_two_sections_share_an_entry_where_the_number_does_not_change() -> None:
    """middle_block.0 to 2, then double_blocks.0 to 3; and input_blocks.0 alone before double_blocks.0."""
    apart = registry_loader.load(with_extra_stack("middle_block.{i}", "Middle"))
    assert reach_of(apart, apart.loaders["inspire"], apart.layouts["toy_transformer_7"]).lengths == (8,)
    texts = with_extra_stack("input_blocks.0.{i}", "Input")
    shared = registry_loader.load(texts)
    assert reach_of(shared, shared.loaders["inspire"], shared.layouts["toy_transformer_7"]).lengths == (5,)


CAPABILITIES = {
    "FLX": (True, True), "FLK": (True, True), "ILL": (True, True), "LTX": (False, False),
    "PNY": (True, True), "SD1": (True, True), "SDX": (True, True), "W21": (False, False), "W22": (False, False),
    "ZIM": (False, False), "UNK": (False, False),
}  # fmt: skip


def test_what_a_base_model_can_do_with_vectors_follows_from_the_loaders() -> None:
    bases = registry().base_models
    found = {
        code: (base.capabilities["inspire_vector"], base.capabilities["lbw_vector"]) for code, base in bases.items()
    }
    assert {code: found[code] for code in CAPABILITIES} == CAPABILITIES


def test_a_base_model_that_states_it_by_hand_is_refused() -> None:
    texts = toml_files()
    texts["base_models.toml"] = texts["base_models.toml"].replace("video = false", "lbw_vector = true", 1)
    with pytest.raises(RegistryError, match="which follows from the loaders"):
        registry_loader.load(texts)


def test_a_short_form_of_a_form_that_does_not_exist_is_refused() -> None:
    texts = toml_files()
    texts["loaders.toml"] = texts["loaders.toml"].replace("within = 26", "within = 27")
    with pytest.raises(RegistryError, match="has no form of 27 entries"):
        registry_loader.load(texts)
