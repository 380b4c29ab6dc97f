"""Roots out of ComfyUI's extra_model_paths.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_weights_builder.errors import ConfigError
from lora_weights_builder.library.comfyui_paths import read_lora_roots


def test_lora_folders_of_every_section_are_read_the_default_ones_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORA_HOME", "from-env")
    file = tmp_path / "extra_model_paths.yaml"
    file.write_text(
        "a111:\n  base_path: webui/\n  checkpoints: models/x\n  loras: |\n    models/Lora\n    models/LyCORIS\n"
        "comfyui:\n  base_path: /srv/comfy\n  is_default: true\n  loras: models/loras/\n"
        "other:\n  loras: |\n\n    $LORA_HOME/x\n    /abs/../abs2\n    /srv/comfy/models/loras\n"
        "empty:\nno_loras:\n  base_path: /x\n"
    )
    assert read_lora_roots(file) == [
        Path("/srv/comfy/models/loras"),
        tmp_path / "webui/models/Lora",
        tmp_path / "webui/models/LyCORIS",
        tmp_path / "from-env/x",
        Path("/abs2"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "- just\n- a list", "a: text", "a:\n  loras: [1, 2]", "a:\n  base_path: 3\n  loras: x",
        "a: !!python/object/apply:os.system ['true']", "[" * 20000, "\x00",
    ],
)  # fmt: skip
def test_what_is_not_such_a_file_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    file = tmp_path / "paths.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"paths\.yaml"):
        read_lora_roots(file)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        read_lora_roots(tmp_path / "gone.yaml")


def test_an_empty_file_lists_nothing(tmp_path: Path) -> None:
    file = tmp_path / "paths.yaml"
    file.write_text("# nothing\n")
    assert read_lora_roots(file) == []
