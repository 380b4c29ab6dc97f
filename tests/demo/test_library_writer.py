"""Which files the demo library holds, and what it does to a folder."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from lora_weights_builder.demo import plan, write_library
from lora_weights_builder.demo.library_writer import MARKER, file_bytes
from lora_weights_builder.errors import Conflict, LwbError
from tests.demo.conftest import Timed

COAT = "FLUX/08 - Clothing/waxed_cotton_coat.safetensors"


class TestWhatItHolds:
    def test_it_is_small_and_quickly_written(self, timed: Timed) -> None:
        assert 60 <= len(timed.library.files) <= 80
        assert timed.library.size_bytes < 65_000_000
        assert timed.seconds < 10

    def test_it_covers_what_a_real_library_has(self) -> None:
        files = plan()
        recipes = [file.recipe for file in files if file.recipe]
        assert {file.category_code for file in files} == {
            "PPL", "STL", "UTL", "ACT", "BDY", "CHT", "MCV", "CLT", "ANM", "BLD", "NAT",
        }  # fmt: skip
        assert {file.base_code for file in files} >= {"FLX", "FLK", "SD1", "SDX", "PNY", "ILL", "W21", "W22"}
        assert {recipe.adapter for recipe in recipes} == {"lora", "locon", "loha", "lokr", "dora", "full"}
        assert {recipe.naming for recipe in recipes} == {
            "kohya", "kohya_diffusers", "diffusers", "comfyui", "onetrainer",
        }  # fmt: skip
        assert {recipe.dtype for recipe in recipes} == {"F16", "BF16"}
        layouts = {file.planted.layout for file in files if file.planted}
        assert layouts >= {"flux_unet_57", "flux_transformer_38", "flux_double_19", "flux_te_12", "wan_transformer_40"}
        assert Counter(file.kind for file in files) == {"ordinary": 61, "copy": 2, "truncated": 1, "foreign": 1}

    def test_names_are_unique_and_portable(self) -> None:
        paths = [file.path for file in plan()]
        assert len({path.casefold() for path in paths}) == len(paths)
        assert all(path.isascii() and not set(path) & set('<>:"\\|?*') for path in paths)

    def test_the_bytes_are_the_same_on_every_platform(self) -> None:
        coat = next(file for file in plan() if file.path == COAT)
        assert (
            hashlib.sha256(file_bytes(coat)).hexdigest()
            == "c8504d0703dd97679dd989d503911c7bcd913da6084ee87f106330adc69b64e3"
        )

    def test_copies_hold_the_tensors_of_their_originals(self, root: Path) -> None:
        for file in plan():
            if file.copy_of is not None:
                ours, theirs = ((root / path).read_bytes() for path in (file.path, file.copy_of))
                assert (
                    ours[8 + int.from_bytes(ours[:8], "little") :] == theirs[8 + int.from_bytes(theirs[:8], "little") :]
                )


class TestWhatItTouches:
    def test_a_second_run_replaces_its_own_files(self, tmp_path: Path) -> None:
        (tmp_path / MARKER).write_text(json.dumps([COAT]), encoding="utf-8")
        (tmp_path / COAT).parent.mkdir(parents=True)
        (tmp_path / COAT).write_bytes(b"half")
        write_library(tmp_path)
        assert (tmp_path / COAT).stat().st_size > 100_000

    def test_a_folder_with_other_files_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
        with pytest.raises(Conflict, match="holds other files"):
            write_library(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

    def test_force_writes_beside_them(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
        write_library(tmp_path, force=True)
        assert (tmp_path / "notes.txt").read_text("utf-8") == "mine"
        assert (tmp_path / COAT).exists()

    def test_a_file_of_somebody_else_is_never_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / COAT).parent.mkdir(parents=True)
        (tmp_path / COAT).write_bytes(b"mine")
        with pytest.raises(Conflict, match="was not written by the demo"):
            write_library(tmp_path, force=True)
        assert (tmp_path / COAT).read_bytes() == b"mine"
        assert not (tmp_path / MARKER).exists()

    def test_a_place_that_cannot_be_written_is_an_error_of_ours(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(LwbError, match="Cannot write the demo library"):
            write_library(tmp_path / "file" / "library")
