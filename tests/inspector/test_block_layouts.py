"""The registry: its ids and labels, its agreement with the models' own module tables, and its self-checks."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from lora_weights_builder.errors import RegistryError
from lora_weights_builder.inspector import registry_loader
from lora_weights_builder.inspector.block_layouts import registry
from tests.inspector.key_lists import expand, layout_files, matched, shown_metadata

LAYOUTS = {
    "flux_unet_57": 57,
    "flux_transformer_38": 38,
    "flux_double_19": 19,
    "flux_te_12": 12,
    "flux_te_24": 24,
    "flux_te_36": 36,
    "flux_fallback_16": 16,
    "sd15_unet_25": 25,
    "sd21_unet_25": 25,
    "sdxlr_unet_25": 25,
    "cascade_unet_4": 4,
    "sd3_transformer_24": 24,
    "sd35_transformer_24": 24,
    "sd35_transformer_38": 38,
    "auraflow_transformer_36": 36,
    "pixart_transformer_28": 28,
    "hunyuandit_transformer_40": 40,
    "stableaudio_transformer_24": 24,
    "sdxl_unet_19": 19,
    "wan_transformer_30": 30,
    "wan_transformer_40": 40,
    "wanvace_transformer_48": 48,
    "wanvace_transformer_45": 45,
    "qwenimage_transformer_60": 60,
    "zimage_transformer_34": 34,
    "lumina2_transformer_30": 30,
    "ideogram4_transformer_34": 34,
    "omnigen2_transformer_38": 38,
    "ernieimage_transformer_24": 24,
    "ernieimage_transformer_36": 36,
    "krea2_transformer_32": 32,
    "anima_transformer_34": 34,
    "cosmos2_transformer_28": 28,
    "cosmos2_transformer_36": 36,
    "cosmos1_transformer_28": 28,
    "cosmos1_transformer_36": 36,
    "hidream_transformer_48": 48,
    "minimaxh3_transformer_52": 52,
    "flux2_transformer_56": 56,
    "flux2_transformer_25": 25,
    "flux2_transformer_32": 32,
    "chroma_transformer_62": 62,
    "hunyuanvideo_transformer_62": 62,
    "framepack_transformer_62": 62,
    "hunyuanvideo15_transformer_56": 56,
    "hunyuanimage21_transformer_62": 62,
    "longcatimage_transformer_57": 57,
    "briafibo_transformer_57": 57,
    "ovisimage_transformer_33": 33,
    "ltxvideo_transformer_28": 28,
    "ltxvideo_transformer_48": 48,
    "ltx2_transformer_48": 48,
    "ltx23_transformer_48": 48,
    "cogvideox_transformer_30": 30,
    "cogvideox_transformer_42": 42,
    "cogview4_transformer_28": 28,
    "mochi_transformer_48": 48,
    "sana_transformer_20": 20,
    "sana_transformer_28": 28,
    "sana_transformer_60": 60,
    "kandinsky5_transformer_34": 34,
    "kandinsky5_transformer_64": 64,
    "kandinsky5image_transformer_52": 52,
    "acestep1_transformer_24": 24,
    "acestep15_transformer_24": 24,
}


@pytest.mark.parametrize(("layout_id", "count"), LAYOUTS.items())
def test_layouts_have_the_promised_ids_and_counts(layout_id: str, count: int) -> None:
    layout = registry().layouts[layout_id]
    assert layout.block_count == len(layout.blocks) == count
    assert [block.index for block in layout.blocks] == list(range(count))
    assert not layout.legacy


def test_labels_are_the_groups_abbreviation_and_two_digits() -> None:
    labels = [block.label for block in registry().layouts["flux_unet_57"].blocks]
    assert labels[:2] + labels[18:21] + labels[-1:] == ["D00", "D01", "D18", "S00", "S01", "S37"]
    labels = [block.label for block in registry().layouts["sdxl_unet_19"].blocks]
    assert labels == [*(f"IN{i:02d}" for i in range(9)), "M00", *(f"OUT{i:02d}" for i in range(9))]


def test_groups_follow_each_other_without_gaps() -> None:
    for layout in registry().layouts.values():
        starts = [group.start for group in layout.groups]
        ends = [group.start + group.count for group in layout.groups]
        assert starts == [0, *ends[:-1]]


BASE_MODELS = {
    "FLUX": "FLX", "Flux Krea": "FLK", "Flux.2-Klein": "F2K", "Illustrious": "ILL", "LTXV2": "LTX", "PONY": "PNY",
    "SD2": "SD2", "SDXL Refiner": "SXR", "SSD-1B": "SSD", "Kolors": "KOL", "Stable Cascade": "CAS", "SD3": "SD3",
    "SD3.5": "S35", "AuraFlow": "AUR", "PixArt": "PIX", "Hunyuan-DiT": "HYD", "Stable Audio": "STA",
    "SD": "SD1", "SDXL": "SDX", "WAN2.1": "W21", "WAN2.2": "W22", "Z-Image": "ZIM",
    "Anima": "ANI", "Cosmos 1.0": "CS1", "Cosmos-Predict2": "CS2", "ERNIE-Image": "ERN", "HiDream": "HDI",
    "Ideogram 4": "IDG", "Krea 2": "KR2", "Lumina 2": "LUM", "MiniMax-H3": "MMX", "OmniGen2": "OMG",
    "Qwen-Image": "QWN",
    "Flux.2-Dev": "F2D", "Chroma": "CHR", "Hunyuan Video": "HYV", "FramePack": "FPK", "Hunyuan Video 1.5": "H15",
    "Hunyuan Image 2.1": "HYI", "LongCat-Image": "LCT", "Bria FIBO": "BRI", "Ovis-Image": "OVS",
    "LTXV": "LTV", "CogVideoX": "CVX", "CogView4": "CGV", "Mochi": "MOC", "SANA": "SAN", "Kandinsky5": "KD5",
    "ACE-Step": "ACE",
}  # fmt: skip


def test_base_models_have_the_promised_codes_and_folders() -> None:
    assert {base.folders[0]: base.code for base in registry().base_models.values() if base.folders} == BASE_MODELS
    assert registry().base_models["UNK"].folders == ()
    assert [code for code, base in registry().base_models.items() if base.requires_layout] == ["FLX", "FLK"]
    assert registry().base_models["FLX"].fallback_layout == "flux_fallback_16"


NORMALISED = [
    ("flux_unet_57", "flux_unet_57"),
    ("  FLUX_UNET_57 ", "flux_unet_57"),
    ("unet_57", "flux_unet_57"),
    ("flux_unet_double", "flux_double_19"),
    ("flux_te_layers", "flux_te_12"),
    ("flux_transformer_12", "flux_transformer_12"),
    ("flux_te_7", "flux_te_7"),
    ("wan_unet_40", "wan_unet_40"),
    ("wan_i2v_unet_40", "wan_i2v_unet_40"),
    ("wan_x2v_unet_40", None),
    ("flux_transformer_0", None),
    ("flux_transformer_1000", None),
    ("flux", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("text", "layout_id"), NORMALISED)
def test_normalisation_knows_the_registry_and_its_aliases_and_nothing_else(
    text: str | None, layout_id: str | None
) -> None:
    assert registry().normalise_layout(text) == layout_id


def test_numbered_ids_of_the_earlier_system_are_legacy_and_readable() -> None:
    layout = registry().layouts["flux_transformer_12"]
    assert layout.legacy
    assert [block.label for block in layout.blocks][-1] == "S11"
    assert not registry().layouts["flux_transformer_38"].legacy
    assert "flux_transformer_12" not in list(registry().layouts)
    assert "wan_unet_3000" not in registry().layouts


def test_every_dialect_of_an_architecture_names_the_same_weights() -> None:
    """Full files of two dialects place the same weights into the same blocks, fused or split."""
    whole: dict[str, dict[str, set[tuple[int | None, str]]]] = {}
    partial: dict[str, dict[str, set[tuple[int | None, str]]]] = {}
    for file in layout_files():
        case = json.loads(file.read_text("utf-8"))
        if case["architecture"] is None or case["layout"] != registry().architectures[case["architecture"]].layout_id:
            continue
        modules, match = matched(expand(case), shown_metadata(case), base=case.get("hint"))
        matrices = {
            (place.block_index, place.canonical.partition("#")[0])
            for module, place in zip(modules, match.placements, strict=True)
            # XLabs changes three of the four parts of "linear1" as one, which no other dialect has a name for.
            if module.in_features is not None and not place.canonical.endswith("linear1.qkv")
        }
        matrices = {place for place in matrices if place[0] is not None}
        (partial if case.get("partial") else whole).setdefault(case["architecture"], {})[file.stem] = matrices
    for architecture, files in whole.items():
        first = next(iter(files.values()))
        assert all(places == first for places in files.values()), architecture
        for stem, places in partial.get(architecture, {}).items():
            assert places <= first, stem


# WAN: 407 matrices of the model itself, and 4 that its Fun models have besides.
MATRICES = [
    ("sd15", 282), ("sdxl", 794), ("flux1", 314), ("wan_14b", 411), ("flux2_dev", 171), ("flux2_klein_4b", 89),
    ("flux2_klein_9b", 121), ("hunyuan_video", 344), ("hunyuan_video_1.5", 568), ("hunyuan_image_2.1", 347),
    ("sd21", 282), ("sdxl_refiner", 554), ("ssd_1b", 429), ("sd3_medium", 245), ("sd35_medium", 271),
    ("sd35_large", 385), ("auraflow", 326), ("hunyuan_dit", 352),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "count"), MATRICES)
def test_native_and_diffusers_names_map_one_to_one(architecture: str, count: int) -> None:
    """Every matrix has one native name, and as many other names as it has row slices."""
    names: dict[str, dict[str, str]] = {"native": {}, "diffusers": {}}
    for spelling in registry().architectures[architecture].spellings:
        if spelling.dialect in names and all(len(shape) > 1 for shape in spelling.shapes) and spelling.shapes:
            for i in spelling.indices or (0,):
                name = spelling.template.replace("{i}", str(i))
                assert name not in names[spelling.dialect]
                names[spelling.dialect][name] = spelling.canonical.replace("{i}", str(i))
    assert len(names["native"]) == count
    assert all(name == canonical for name, canonical in names["native"].items())
    renamed = list(names["diffusers"].values())
    assert len(set(renamed)) == len(renamed)
    assert {canonical.partition("#")[0] for canonical in renamed} <= set(names["native"])


def toml_files() -> dict[str, str]:
    folder = resources.files("lora_weights_builder.inspector") / "registry"
    return {entry.name: entry.read_text("utf-8") for entry in folder.iterdir()}


BROKEN = [
    ("flux.toml", 'count = 19', 'count = 20', "must end in that number"),
    ("flux.toml", 'base_code = "FLX"', 'base_code = "FLZ"', "does not exist"),
    ("flux.toml", 'group = "single", comp', 'group = "singel", comp', "are not the groups"),
    ("flux.toml", '"3*width"', '"3*wdith"', "which is not given here"),
    ("flux.toml", '"width", "width", "width", "mlp"]', '"width", "width", "mlp", "mlp"]', "do not make"),
    ("flux.toml", 'id = "flux_te_24"', 'id = "flux_te_12"', "twice"),
    ("flux.toml", 'components = ["flux_double"]', 'components = ["flux_dubble"]', "no entry defines"),
    ("base_models.toml", 'code = "FLK"', 'code = "FLX"', "twice"),
    ("base_models.toml", '"Flux Krea", "Flux.1 Krea"', '"flux", "Flux.1 Krea"', "belongs to both"),
    ("wan.toml", 'id = "wan"', 'id = ', "no valid TOML"),
    ("sd15.toml", "  # IN03\n", "  [],\n  # IN03\n", "where the layout has 12"),
    ("kolors.toml", 'stacks_of = "sdxl"', 'stacks_of = "sdlx"', "no entry defines"),
    ("sd3.toml", 'only_blocks = "last"', 'only_blocks = "lsat"', "no entry defines"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "message"), BROKEN)
def test_contradictions_in_the_data_are_refused_at_load(file: str, old: str, new: str, message: str) -> None:
    texts = toml_files()
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new, 1)
    with pytest.raises(RegistryError, match=message):
        registry_loader.load(texts)
