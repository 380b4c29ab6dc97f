"""``lwb inspect``: what it prints for people and for programs, and what it does with files it cannot read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lora_weights_builder.cli.inspect_files import place_in_library
from lora_weights_builder.cli.lora_view import as_json
from lora_weights_builder.library.conventions import load_conventions
from lora_weights_builder.records import LoraRecord
from tests.cli.support import CHALK, CLAY, COAT, ENCODER_ONLY, FOREIGN, SINGLE_ONLY, TRUNCATED, Lwb

SHARED_FIELDS = {
    "file_path", "lora_name", "filename", "size_bytes", "content_hash", "hashes", "architecture", "model_family",
    "base_model_code", "lora_type", "adapter_types", "rank", "alpha", "block_layout", "has_block_weights", "fallback",
    "fallback_reason", "block_count", "clip_contributor", "clip_tensor_count", "unmatched_tensor_count", "error",
    "warnings", "blocks", "metadata", "ambiguous_architectures", "architecture_evidence", "variant", "energy_rank",
    "parameters",
}  # fmt: skip


class TestJson:
    def test_one_object_a_line_with_the_shared_fields(self, lwb: Lwb, folder: Path) -> None:
        answer = lwb("inspect", "--json", folder / CHALK, folder / CLAY)
        assert answer.code == 0
        assert answer.err == ""
        chalk, clay = answer.json_lines
        assert set(chalk) >= SHARED_FIELDS
        assert chalk["hashes"] == {"blake3": None, "sha256": None, "autov3": None}
        assert (chalk["architecture"], chalk["base_model_code"], chalk["rank"], chalk["alpha"]) == ("sd15", "SD1", 4, 2)
        assert (clay["architecture"], clay["block_layout"], clay["block_count"]) == (
            "wan_14b",
            "wan_transformer_40",
            40,
        )

    def test_blocks_come_in_the_layouts_order_and_absent_ones_are_marked(self, lwb: Lwb, folder: Path) -> None:
        blocks = lwb("inspect", "--json", folder / CHALK).json["blocks"]
        assert [block["block_index"] for block in blocks] == list(range(25))
        assert set(blocks[0]) == {
            "block_index", "label", "group", "weight", "raw_strength", "present", "rank", "alpha", "parameters",
            "rms_change", "stable_rank", "energy_rank", "singular_values", "modules",
        }  # fmt: skip
        assert (blocks[0]["label"], blocks[0]["weight"], blocks[0]["present"]) == ("IN00", 0.0, False)
        assert (blocks[24]["label"], blocks[24]["weight"], blocks[24]["present"]) == ("OUT11", 1.0, True)

    def test_blocks_and_file_say_which_rank_would_do(self, lwb: Lwb, folder: Path) -> None:
        record = lwb("inspect", "--json", folder / CHALK).json
        assert record["energy_rank"] == {"90": 4, "95": 4, "99": 4}
        assert record["parameters"] == sum(block["parameters"] for block in record["blocks"])
        block = record["blocks"][24]
        assert (block["rank"], block["alpha"], block["modules"], block["parameters"]) == (4, 2.0, 2, 8704)
        assert block["energy_rank"]["99"] == 4
        assert 1 <= block["stable_rank"] <= 8
        assert block["singular_values"] == sorted(block["singular_values"], reverse=True)
        assert "module_facts" not in record
        assert "modules" not in record

    def test_modules_are_listed_where_asked_for(self, lwb: Lwb, folder: Path) -> None:
        record = lwb("inspect", "--json", "--modules", folder / CHALK).json
        assert len(record["modules"]) == sum(block["modules"] for block in record["blocks"])
        first = record["modules"][0]
        assert (first["label"], first["part"], first["kind"], first["strength_kind"]) == (
            "IN01",
            "model",
            "lora",
            "delta",
        )
        assert (first["rank"], first["parameters"], len(first["singular_values"])) == (4, 4352, 4)

    def test_headers_alone_give_no_numbers_of_modules(self, lwb: Lwb, folder: Path) -> None:
        record = lwb("inspect", "--json", "--modules", "--headers-only", folder / CHALK).json
        assert (record["energy_rank"], record["parameters"], record["modules"]) == (None, None, [])

    def test_partial_flux_files_get_the_layout_of_their_part(self, lwb: Lwb, folder: Path) -> None:
        single, encoder = lwb("inspect", "--json", folder / SINGLE_ONLY, folder / ENCODER_ONLY).json_lines
        assert (single["block_layout"], single["blocks"][0]["label"]) == ("flux_transformer_38", "S00")
        assert (encoder["block_layout"], encoder["clip_tensor_count"]) == ("flux_te_12", 216)

    def test_unknown_keys_in_a_flux_folder_give_the_neutral_fallback(self, lwb: Lwb, folder: Path) -> None:
        answer = lwb("inspect", "--json", folder / FOREIGN)
        record = answer.json
        assert answer.code == 0
        assert (record["block_layout"], record["fallback"], record["unmatched_tensor_count"]) == (
            "flux_fallback_16", True, 12,
        )  # fmt: skip
        assert {(block["weight"], block["raw_strength"]) for block in record["blocks"]} == {(1.0, None)}

    def test_a_bad_file_fails_and_the_others_are_still_done(self, lwb: Lwb, folder: Path) -> None:
        answer = lwb("inspect", "--json", folder / TRUNCATED, folder / "absent.safetensors", folder / CHALK)
        assert answer.code == 1
        assert [record["error_code"] for record in answer.json_lines][1:] == ["not_found", None]
        assert [line.startswith("error: ") for line in answer.err.splitlines()] == [True, True]

    def test_a_name_that_is_not_utf8_is_still_valid_unicode(self) -> None:
        name = "caf\udce9.safetensors"  # what Python makes of the byte E9 in a name
        answer = as_json(LoraRecord(file_path=f"/loras/{name}", filename=name, size_bytes=0, lora_name=name))
        assert answer["filename"] == "caf\x1ae9.safetensors"
        assert answer["file_path"] == "/loras/caf\x1ae9.safetensors"


class TestTerminal:
    def test_the_chart_of_a_small_file_is_drawn_in_columns(self, lwb: Lwb, folder: Path) -> None:
        lines = lwb("inspect", folder / ENCODER_ONLY).out.splitlines()
        assert lines[0] == "clip_prompt_adherence.safetensors"
        assert lines[-5:] == [
            "  CLIP ViT-L  12 of 12 blocks   ‖ΔW‖ 0.1285   strongest CL11",
            "  CL00 ▊        0.10  CL03 ██▊      0.35  CL06 ████▊    0.59  CL09 ██████▊  0.84",
            "  CL01 █▌       0.18  CL04 ███▍     0.43  CL07 █████▍   0.67  CL10 ███████▍ 0.92",
            "  CL02 ██▏      0.26  CL05 ████▏    0.51  CL08 ██████   0.75  CL11 ████████ 1.00",
            "  trained at rank 1; rank 1 keeps 99 % of the change",
        ]

    def test_a_whole_flux_file_fits_a_terminal_of_80_columns(self, lwb: Lwb, folder: Path) -> None:
        lines = lwb("inspect", folder / COAT).out.splitlines()
        chart = lines[next(number for number, line in enumerate(lines) if line.startswith("  Double blocks")) : -1]
        assert len(chart) == 17
        assert max(map(len, chart)) <= 80

    def test_what_was_not_measured_is_drawn_hollow_and_says_why(self, lwb: Lwb, folder: Path) -> None:
        out = lwb("inspect", folder / FOREIGN).out
        assert "  Not measured  16 neutral blocks, not measured\n" in out
        assert "  N00 ░░░░░░░░ 1.00  N04 ░░░░░░░░ 1.00" in out
        assert "No architecture of the registry has modules of these names" in out

    def test_absent_blocks_are_no_zeros(self, lwb: Lwb, folder: Path) -> None:
        assert "  IN00  ·           -  IN04 " in lwb("inspect", folder / CHALK).out

    def test_headers_alone_say_nothing_of_ranks(self, lwb: Lwb, folder: Path) -> None:
        assert "trained at rank" not in lwb("inspect", "--headers-only", folder / CHALK).out

    def test_modules_make_a_table_in_the_order_of_blocks(self, lwb: Lwb, folder: Path) -> None:
        lines = lwb("inspect", "--modules", folder / CHALK).out.splitlines()
        at = next(number for number, line in enumerate(lines) if line.startswith("  block  module"))
        assert lines[at].split("  ")[-1].strip() == "95 % at rank"
        table = [line.split() for line in lines[at + 1 :]]
        assert [row[0] for row in table[:2] + table[-2:]] == ["IN01", "IN01", "OUT11", "OUT11"]
        assert table[0][1:4] == ["down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", "lora", "4"]
        assert "  modules: none measured" in lwb("inspect", "--modules", "--headers-only", folder / CHALK).out

    def test_control_characters_in_metadata_are_escaped(self, lwb: Lwb, tmp_path: Path) -> None:
        path = tmp_path / "x.safetensors"
        save_file({"a": np.zeros((1,), np.float16)}, path, {"modelspec.title": "\x1b[31mred\u202etxt"})
        out = lwb("inspect", path).out
        assert "\x1b" not in out
        assert "\\x1b[31mred\\u202etxt" in out

    @pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
    def test_any_output_encoding_will_do(self, folder: Path, encoding: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "lora_weights_builder", "inspect", str(folder / COAT), str(folder / FOREIGN)],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "40"},
        )
        text = done.stdout.decode(encoding)
        assert done.stderr == b""
        assert ("||dW||" in text) == (encoding != "utf-8")
        assert max(len(line) for line in text.splitlines() if line.startswith(("  D", "  S", "  N0"))) <= 80


@pytest.mark.parametrize(
    ("path", "name", "base", "category"),
    [
        ("models/FLUX/08 - Clothing/x.safetensors", "FLUX/08 - Clothing/x.safetensors", "FLX", "CLT"),
        ("models/FLUX/x.safetensors", "FLUX/x.safetensors", "FLX", None),
        ("WAN2.2/I2V/04 - Action/x.safetensors", "WAN2.2/I2V/04 - Action/x.safetensors", "W22", "ACT"),
        ("sd/downloads/x.safetensors", "x.safetensors", None, None),
        ("08 - Clothing/x.safetensors", "x.safetensors", None, None),
    ],
)
def test_only_folders_that_fit_the_convention_are_believed(
    tmp_path: Path, path: str, name: str, base: str | None, category: str | None
) -> None:
    lora_name, hint = place_in_library(tmp_path / path, load_conventions())
    assert lora_name == name
    assert (hint.base_model_code if hint else None, hint.category_code if hint else None) == (base, category)
