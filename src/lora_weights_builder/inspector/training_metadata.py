"""Reads what trainers write beside the tensors: for people (tags, triggers, settings) and for the scale of PEFT files.

The values are JSON in strings, written by anyone: nested without end, huge, or of another type than the name says.
Every value is read through the readers of ``metadata_values``, which give nothing back rather than fail.

What does not belong here: what metadata says about the model (``model_hints``); nothing here decides anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lora_weights_builder.inspector.metadata_values import (
    MAX_TEXT,
    Metadata,
    first_text,
    first_value,
    parsed,
    parsed_object,
    plain_text,
    real,
    whole,
)
from lora_weights_builder.inspector.model_hints import BaseModelHint, ResolvedBase, base_model_hint, resolve_base_model
from lora_weights_builder.records import MetadataSummary

__all__ = [
    "PEFT_FIELD",
    "BaseModelHint",
    "PeftScaling",
    "ResolvedBase",
    "base_model_hint",
    "peft_scaling",
    "resolve_base_model",
    "summarise",
]

PEFT_FIELD: Final = "lora_adapter_metadata"
MAX_TAGS: Final = 200
MAX_COUNTED_TAGS: Final = 200_000
MAX_TRIGGERS: Final = 50

_FOLDER: Final = re.compile(r"\d{1,5}_(?P<words>.+)", re.DOTALL)  # "10_sks woman": repeats, then the words
_SIZE: Final = re.compile(r"\D*(\d{1,5})(?:\D+(\d{1,5}))?\D*", re.ASCII)
_MUSUBI_MODULES: Final = frozenset(
    f"networks.lora_{name}"
    for name in ("wan", "framepack", "flux_2", "hunyuan_video_1_5", "qwen_image", "kandinsky5", "zimage", "krea2")
)


def summarise(metadata: Metadata) -> MetadataSummary:
    """The facts that people ask for; every field is ``None`` or empty where the metadata does not hold it."""
    ai_toolkit = parsed_object(metadata, "training_info")
    software = parsed_object(metadata, "software")
    frequencies = parsed_object(metadata, "ss_tag_frequency")
    one_trainer = parsed_object(metadata, "ot_config")
    return MetadataSummary(
        base_model=first_text(metadata, "ss_base_model_version", "modelspec.architecture"),
        base_checkpoint=first_text(metadata, "ss_sd_model_name") or plain_text(one_trainer.get("base_model_name")),
        title=first_text(metadata, "modelspec.title", "ss_output_name", "name"),
        author=first_text(metadata, "modelspec.author"),
        trigger_words=_triggers(metadata, frequencies),
        tags=_tags(frequencies),
        declared_rank=whole(first_value(metadata, "ss_network_dim") or one_trainer.get("lora_rank")),
        declared_alpha=real(first_value(metadata, "ss_network_alpha") or one_trainer.get("lora_alpha")),
        resolution=_resolution(first_value(metadata, "modelspec.resolution", "ss_resolution")),
        date=_date(metadata),
        trainer=_trainer(metadata, software),
        steps=whole(first_value(metadata, "ss_steps", "ss_max_train_steps") or ai_toolkit.get("step")),
        epochs=whole(first_value(metadata, "ss_epoch", "ss_num_epochs") or ai_toolkit.get("epoch")),
        license=first_text(metadata, "modelspec.license"),
        description=first_text(metadata, "modelspec.description", "ss_training_comment"),
    )


def _triggers(metadata: Metadata, frequencies: Mapping[str, Any]) -> tuple[str, ...]:
    """Words that call the LoRA up: as declared, else the folder names of the data set ("10_sks woman")."""
    declared: list[str] = []
    for name in ("modelspec.trigger_phrase", "trigger_words", "activation text", "ss_trigger_words", "trigger_word"):
        value = first_text(metadata, name)
        if value is None:
            continue
        listed = parsed(value) if value.startswith("[") else None
        words = listed if isinstance(listed, list) else value.split(",")
        declared += [word.strip() for word in words if isinstance(word, str)]
    if not any(declared):
        folders = [*frequencies, *parsed_object(metadata, "ss_dataset_dirs")]
        declared = [match["words"].strip() for name in folders if (match := _FOLDER.fullmatch(name))]
    return tuple(dict.fromkeys(word[:MAX_TEXT] for word in declared if word))[:MAX_TRIGGERS]


def _tags(frequencies: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    counted: Counter[str] = Counter()
    for tags in frequencies.values():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            number = whole(count)
            if number is not None and number > 0 and len(counted) < MAX_COUNTED_TAGS:
                counted[tag.strip()[:MAX_TEXT]] += number
    return tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MAX_TAGS])


def _resolution(text: str | None) -> tuple[int, int] | None:
    """ "1024x768", "(1024, 768)", "1024" -> (width, height) in pixels."""
    match = _SIZE.fullmatch(text) if text and len(text) < 64 else None
    if match is None:
        return None
    width = int(match[1])
    height = int(match[2]) if match[2] else width
    return (width, height) if width and height else None


def _date(metadata: Metadata) -> str | None:
    written = first_value(metadata, "modelspec.date")
    if written:
        try:
            return datetime.fromisoformat(written.strip()).isoformat()
        except ValueError:
            pass  # some other notation; the trainer's clock may still be there
    seconds = real(first_value(metadata, "ss_training_finished_at", "ss_training_started_at"))
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
    except (ValueError, OverflowError, OSError):
        return None  # not a moment that a calendar knows


def _trainer(metadata: Metadata, software: Mapping[str, Any]) -> str | None:
    module = first_text(metadata, "ss_network_module") or ""
    if any(name.startswith("ot_") for name in metadata):
        return "OneTrainer"
    if name := plain_text(software.get("name")):
        return name
    if module in _MUSUBI_MODULES or "musubi" in (first_text(metadata, "modelspec.implementation") or "").lower():
        return "musubi-tuner"
    if module.startswith("lycoris"):
        return "sd-scripts with LyCORIS"
    if module or "ss_sd_scripts_commit_hash" in metadata:
        return "sd-scripts"
    return "diffusers" if PEFT_FIELD in metadata else None


# --- The scale of PEFT files


@dataclass(frozen=True, slots=True)
class DeclaredScale:
    """What the configuration says of one module: scale = alpha / rank, or alpha / sqrt(rank) if stabilised."""

    alpha: float
    rank_stabilised: bool


@dataclass(frozen=True, slots=True)
class _Config:
    alpha: float | None
    rank_stabilised: bool
    patterns: Mapping[str, float]  # folded end of a module's name -> alpha


@dataclass(frozen=True, slots=True)
class PeftScaling:
    """PEFT keeps alpha in its configuration, not in tensors. One configuration for each part of the pipeline."""

    configs: Mapping[str, _Config]

    def of(self, part: str, module: str) -> DeclaredScale | None:
        """The scale declared for a (folded) module, ``None`` where nothing is."""
        config = self.configs.get(part)
        if config is None:
            return None
        alpha = _longest_end(config.patterns, module)
        alpha = config.alpha if alpha is None else alpha
        return None if alpha is None else DeclaredScale(alpha, config.rank_stabilised)


_PARTS: Final = {
    "transformer": "model",
    "unet": "model",
    "transformer_2": "model_2",
    "text_encoder": "te1",
    "text_encoder_2": "te2",
    "text_encoder_3": "te3",
}


def peft_scaling(metadata: Metadata) -> PeftScaling | None:
    """Read ``lora_adapter_metadata``: ``{"transformer.lora_alpha": 16, "transformer.alpha_pattern": {...}}``.

    Patterns are compared literally with the end of a module's name. PEFT allows regular expressions there; running
    those of a stranger's file could take for ever.
    """
    if PEFT_FIELD not in metadata:
        return None
    flat = parsed_object(metadata, PEFT_FIELD)
    settings: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        component, _, field = name.rpartition(".")
        part = _PARTS.get(component, "model" if not component else None)
        if part is not None:
            settings.setdefault(part, {})[field] = value
    configs = {part: _config(values) for part, values in settings.items()}
    return PeftScaling(configs) if configs else None


def _config(values: Mapping[str, Any]) -> _Config:
    patterns = values.get("alpha_pattern")
    return _Config(
        alpha=real(values.get("lora_alpha")),
        rank_stabilised=values.get("use_rslora") is True,
        patterns={
            name.removeprefix("^").replace(".", "_"): alpha
            for name, value in (patterns.items() if isinstance(patterns, dict) else ())
            if (alpha := real(value)) is not None
        },
    )


def _longest_end(patterns: Mapping[str, float], module: str) -> float | None:
    """The alpha of the longest pattern that is the module's name or ends it at an underscore."""
    start = 0
    while patterns:
        if module[start:] in patterns:
            return patterns[module[start:]]
        start = module.find("_", start) + 1
        if start == 0:
            break
    return None
