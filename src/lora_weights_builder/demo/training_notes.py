"""Training metadata as trainers write it, made up for the demo library: deterministic, and free of real names."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from typing import Final

from lora_weights_builder.demo.library_plan import Recipe

_FIRST_DAY: Final = date(2024, 9, 1)
_DAYS: Final = 700
# What trainers call the base model, and the checkpoint it stands for, by the folder the file lies in.
_CHECKPOINTS: Final = {
    "FLUX": ("flux1", "flux1-dev.safetensors"),
    "Flux Krea": ("flux1", "flux1-krea-dev.safetensors"),
    "SD": ("sd_v1", "v1-5-pruned-emaonly.safetensors"),
    "SDXL": ("sdxl_base_v1-0", "sd_xl_base_1.0.safetensors"),
    "PONY": ("sdxl_base_v1-0", "ponyDiffusionV6XL.safetensors"),
    "Illustrious": ("sdxl_base_v1-0", "Illustrious-XL-v1.0.safetensors"),
    "WAN2.1": ("wan", "wan2.1_bf16.safetensors"),
    "WAN2.2": ("wan", "wan2.2_bf16.safetensors"),
}
_SCENES: Final = (
    "outdoors", "portrait", "close-up", "soft light", "looking at viewer", "full body", "night", "rain",
    "wooden table", "studio background", "film photo", "standing", "from above", "grass", "backlight",
)  # fmt: skip
_RESOLUTIONS: Final = {"sd15": 512}
_DEFAULT_RESOLUTION: Final = 1024


def training_notes(recipe: Recipe) -> dict[str, str]:
    """The file's ``__metadata__``. Writers of diffusers names write little, as they do in the field."""
    dice = hashlib.sha256(recipe.path.encode()).digest()
    base, checkpoint = _CHECKPOINTS[recipe.folder.partition("/")[0]]
    day = _FIRST_DAY + timedelta(days=int.from_bytes(dice[:2], "big") % _DAYS)
    title = recipe.name.replace("_", " ").capitalize()
    notes = {"modelspec.title": title, "modelspec.date": day.isoformat(), "modelspec.author": "demo"}
    if recipe.words:
        notes["modelspec.trigger_phrase"] = ", ".join(recipe.words)
    if recipe.naming == "diffusers":
        return {**notes, "format": "pt"}
    if recipe.naming == "onetrainer":
        return {**notes, "ot_branch": "master", "ot_revision": dice[2:5].hex(), "ss_base_model_version": base}
    side = _RESOLUTIONS.get(recipe.architecture, _DEFAULT_RESOLUTION)
    images = 12 + dice[5] % 60
    epochs = 6 + dice[6] % 12
    notes |= {
        "ss_base_model_version": base,
        "ss_sd_model_name": checkpoint,
        "ss_network_module": "lycoris.kohya" if recipe.adapter in ("loha", "lokr", "full") else "networks.lora",
        "ss_output_name": recipe.name,
        "ss_resolution": f"({side}, {side})",
        "ss_epoch": str(epochs),
        "ss_num_epochs": str(epochs),
        "ss_steps": str(images * epochs * 10),
        "ss_num_train_images": str(images),
        "ss_learning_rate": "0.0001",
        "ss_training_started_at": f"{(day - date(1970, 1, 1)).days * 86400 + 43200}.0",
        "ss_tag_frequency": json.dumps({f"10_{recipe.name}": _tags(recipe, dice, images)}),
    }
    if recipe.rank is not None:
        notes["ss_network_dim"] = str(recipe.rank)
    if recipe.alpha is not None:
        notes["ss_network_alpha"] = str(recipe.alpha)
    return notes


def _tags(recipe: Recipe, dice: bytes, images: int) -> dict[str, int]:
    scenes = {_SCENES[byte % len(_SCENES)]: 1 + byte * (images - 1) // 255 for byte in dice[8:16]}
    return {**dict.fromkeys(recipe.words, images), **scenes}
