"""``lwb capture``."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from lora_weights_builder.inspector.tensor_file import read_header
from tests.cli.support import COAT, FOREIGN, TRUNCATED, Lwb
from tests.inspector.key_lists import expand
from tests.inspector.lora_files import raw_file


def test_a_recognised_file_is_told_on_stdout_and_nothing_else_is_said(lwb: Lwb, folder: Path) -> None:
    answer = lwb("capture", folder / COAT)
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["layout"] == "flux_unet_57"
    assert expand(answer.json) == {one.name: list(one.shape) for one in read_header(folder / COAT).tensors}
    assert lwb("capture", folder / COAT, "--json").json == answer.json


def test_an_unknown_file_is_told_with_the_layout_it_ought_to_have(lwb: Lwb, folder: Path, tmp_path: Path) -> None:
    answer = lwb("capture", folder / FOREIGN, "--layout-name", "new_transformer_4", "-o", tmp_path / "new.json")
    assert (answer.code, answer.out, answer.err) == (0, "", "Not recognised as that.\n")
    written = json.loads((tmp_path / "new.json").read_text("utf-8"))
    assert (written["layout"], written["expected"]) == ("new_transformer_4", None)


def test_a_file_that_is_there_is_never_written_over(lwb: Lwb, folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "lora.safetensors"
    precious.write_bytes(b"precious")
    answer = lwb("capture", folder / COAT, "-o", precious)
    assert (answer.code, answer.err) == (2, f"error: {precious} exists already; give another name or delete it.\n")
    assert precious.read_bytes() == b"precious"
    assert lwb("capture", folder / COAT, "-o", tmp_path / "none" / "x.json").code == 2


def test_what_is_no_safetensors_file_is_refused_as_everywhere(lwb: Lwb, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"PK\x03\x04" + b"0" * 64)
    for path, said in ((tmp_path / "x.safetensors", "not a safetensors file"), (folder / TRUNCATED, "cut short")):
        answer = lwb("capture", path)
        assert (answer.code, answer.out) == (1, "")
        assert said in answer.err
    assert lwb("capture", tmp_path / "absent.safetensors").code == 1


def test_only_the_header_of_a_large_file_is_read(lwb: Lwb, tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    size = 5_000_000_000
    path.write_bytes(raw_file({"big.weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}))
    os.truncate(path, path.stat().st_size + size)  # sparse: no byte of the data is stored
    started = time.perf_counter()
    answer = lwb("capture", path)
    assert answer.json["modules"] == [{"key": "big", "tensors": {"weight": [size]}}]
    assert time.perf_counter() - started < 2.0
