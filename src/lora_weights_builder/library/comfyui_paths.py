"""Library roots out of a ComfyUI ``extra_model_paths.yaml``: the folders it lists under ``loras``.

Reading that file is all this does; saving the roots is the catalogue's part, walking them that of ``folders.py``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import yaml

from lora_weights_builder.errors import ConfigError
from lora_weights_builder.library import paths

MAX_YAML_BYTES: Final = 1 << 20


def read_lora_roots(path: str | os.PathLike[str]) -> list[Path]:
    """The LoRA folders of every section, those marked ``is_default`` first, each once; they need not exist.

    Relative folders are below the section's ``base_path``, which is itself relative to the file. Environment
    variables and ``~`` are expanded, as ComfyUI does.

    Raises:
        ConfigError: no file there, not YAML, or a value is not the text it should be.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigError(f"{path} is larger than 1 MB, which no extra_model_paths.yaml is.", subject=str(path))
        sections = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as fault:
        why = " ".join(str(fault).split())
        raise ConfigError(f"{path} cannot be read as YAML: {why}", subject=str(path)) from fault
    if sections is None:
        return []
    if not isinstance(sections, dict):
        raise ConfigError(f"{path} must hold sections such as `comfyui:` at its top level.", subject=str(path))
    default: list[Path] = []
    others: list[Path] = []
    for name, section in sections.items():
        if section is None:
            continue
        if not isinstance(section, dict):
            raise ConfigError(f"{path}: section {name!r} must hold `loras:` and the like.", subject=str(name))
        folders = _folders(path, str(name), section)
        (default if section.get("is_default") is True else others).extend(folders)
    return list(dict.fromkeys(default + others))


def _folders(path: Path, name: str, section: dict[object, object]) -> list[Path]:
    base_path, loras = section.get("base_path"), section.get("loras")
    for key, value in (("base_path", base_path), ("loras", loras)):
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{path}: {key} of section {name!r} must be text.", subject=f"{name}.{key}")
    here = path.absolute().parent
    base = here / _expand(str(base_path)) if base_path else here
    lines = str(loras).splitlines() if loras else []
    return [Path(paths.absolute(base / _expand(line.strip()))) for line in lines if line.strip()]


def _expand(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser()
