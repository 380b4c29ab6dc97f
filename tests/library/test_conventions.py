"""What a path says about a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_weights_builder.errors import ConfigError
from lora_weights_builder.library.conventions import Conventions, load_conventions
from lora_weights_builder.records import FolderHint


@pytest.fixture(scope="module")
def default() -> Conventions:
    return load_conventions()


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("FLUX", "FLX"), ("Flux Krea", "FLK"), ("Flux.2-Klein", "F2K"), ("Illustrious", "ILL"), ("LTXV2", "LTX"),
        ("PONY", "PNY"), ("SD", "SD1"), ("SDXL", "SDX"), ("WAN2.1", "W21"), ("WAN2.2", "W22"), ("Z-Image", "ZIM"),
    ],
)  # fmt: skip
def test_base_folders_are_known_in_any_case(default: Conventions, folder: str, code: str) -> None:
    assert default.hint(f"{folder}/08 - Clothing/a.safetensors").base_model_code == code
    assert default.hint(f"{folder.upper()}/a.safetensors").base_model_code == code
    assert default.hint(f"{folder.lower()}/x/y/a.safetensors").base_model_code == code


@pytest.mark.parametrize(
    ("folder", "code", "role"),
    [
        ("01 - People", "PPL", "character"), ("02 - Styles", "STL", "style"), ("03 - Utils", "UTL", "utility"),
        ("04 - Action", "ACT", "pose"), ("05 - Body", "BDY", "character"), ("06 - Characters", "CHT", "character"),
        ("07 - Machines_Vehicles", "MCV", "other"), ("08 - Clothing", "CLT", "clothing"),
        ("09 - Animals", "ANM", "other"), ("10 - Buildings", "BLD", "environment"),
        ("11 - Nature", "NAT", "environment"), ("8_whatever", "CLT", "clothing"), ("clothing", "CLT", "clothing"),
        ("99 - clothing", "CLT", "clothing"), ("99 - Other", None, None), ("2024 backups", None, None),
    ],
)  # fmt: skip
def test_categories_are_known_by_number_or_name(
    default: Conventions, folder: str, code: str | None, role: str | None
) -> None:
    hint = default.hint(f"FLUX/{folder}/a.safetensors")
    assert (hint.base_model_code, hint.category_code, hint.role) == ("FLX", code, role)


def test_wan_has_a_mode_between_base_and_category(default: Conventions) -> None:
    hint = default.hint("WAN2.2/i2v/04 - Action/deep/a.safetensors")
    assert (hint.base_model_code, hint.mode, hint.category_code, hint.role) == ("W22", "I2V", "ACT", "pose")
    assert default.hint("WAN2.1/T2V/a.safetensors").mode == "T2V"


def test_unknown_folders_say_nothing(default: Conventions) -> None:
    assert default.hint("a.safetensors") == FolderHint()
    assert default.hint("misc/08 - Clothing/a.safetensors") == FolderHint()


def test_hidden_folders_and_bins_are_not_entered(default: Conventions) -> None:
    names = (".git", ".Trash-1000", "$RECYCLE.BIN", "$recycle.bin", "FLUX")
    assert [name for name in names if default.skips(name)] == [
        ".git", ".Trash-1000", "$RECYCLE.BIN", "$recycle.bin"
    ]  # fmt: skip


def test_a_users_file_replaces_parts_and_adds_rules(tmp_path: Path) -> None:
    own = tmp_path / "conventions.toml"
    own.write_text(
        'patterns = ["{category}/{base}/**", "**/{base}/**"]\n'
        '[bases]\n"My Flux" = "FLX"\n'
        '[[rule]]\nglob = "in/*/styles/**"\ncategory = "STL"\nmode = "T2V"\n'
    )
    conventions = load_conventions(own)
    hint = conventions.hint("08 - Clothing/my flux/a.safetensors")
    assert (hint.base_model_code, hint.base_model_name, hint.category_code) == ("FLX", "Flux", "CLT")
    assert conventions.hint("x/y/SDXL/z/a.safetensors").base_model_code == "SDX"
    hint = conventions.hint("in/SDXL/styles/z/a.safetensors")
    assert (hint.base_model_code, hint.category_code, hint.role, hint.mode) == ("SDX", "STL", "style", "T2V")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("patterns = 3", "patterns"),
        ('patterns = ["{bases}/**"]', "patterns"),
        ("paterns = []", "paterns"),
        ("[[category]]\nnumber = 1\ncode = 'x'\nname = 'X'", "category.code"),
        ("[[category]]\nnumber = -1\ncode = 'XX'\nname = 'X'", "category.number"),
        ("[[rule]]\nbase = 'FLX'", "rule"),
        ("[[rule]]\nglob = 'x'\ncategory = 'NOPE'", "rule.category"),
        ("[bases]\nx = 'lower'", "bases.x"),
        ("not toml", None),
    ],
)
def test_an_unusable_file_is_refused_by_key(tmp_path: Path, text: str, named: str | None) -> None:
    own = tmp_path / "conventions.toml"
    own.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_conventions(own)
    assert caught.value.subject == (named or str(own))
    assert str(own) in caught.value.message
