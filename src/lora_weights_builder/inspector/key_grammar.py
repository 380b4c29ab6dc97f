"""Takes a tensor's name apart: which part of the pipeline, which module, which factor of the adapter.

Every prefix, every suffix and every writer's habit of spelling them is told here, once, as tables. The grammar knows
no model: it never asks whether a module exists, so it is right for architectures nobody has described yet. A kohya name
(``lora_unet_double_blocks_0_img_attn_qkv``) is never split at its underscores, because that cannot be undone; instead
every spelling is folded to underscores and looked up whole.

What does not belong here: shapes and pairs (``adapters``), models and blocks (``block_layouts``, ``layout_match``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from lora_weights_builder.records import Key

# Suffix -> role. Read from the end of the name, longest first; the dot before the suffix is not part of it.
_SUFFIXES: Final[dict[str, str]] = {
    # LoRA pairs: kohya, PEFT, Mochi (no ".weight"), old diffusers
    "lora_down.weight": "lora_down",
    "lora_up.weight": "lora_up",
    "lora_mid.weight": "lora_mid",
    "lora_A.weight": "lora_down",
    "lora_B.weight": "lora_up",
    "lora_A": "lora_down",
    "lora_B": "lora_up",
    "lora.down.weight": "lora_down",
    "lora.up.weight": "lora_up",
    "lora_linear_layer.down.weight": "lora_down",
    "lora_linear_layer.up.weight": "lora_up",
    "lora_A.bias": "lora_down_bias",
    "lora_B.bias": "lora_bias",
    "lora_up.bias": "lora_bias",
    "lora_down.bias": "lora_down_bias",
    "alpha": "alpha",
    # DoRA magnitudes: LyCORIS and OneTrainer, PEFT, ai-toolkit
    "dora_scale": "dora_scale",
    "lora_magnitude_vector": "dora_scale",
    "lora_magnitude_vector.weight": "dora_scale",
    "magnitude": "dora_scale",
    # LyCORIS
    "hada_w1_a": "hada_w1_a",
    "hada_w1_b": "hada_w1_b",
    "hada_w2_a": "hada_w2_a",
    "hada_w2_b": "hada_w2_b",
    "hada_t1": "hada_t1",
    "hada_t2": "hada_t2",
    "lokr_w1": "lokr_w1",
    "lokr_w1_a": "lokr_w1_a",
    "lokr_w1_b": "lokr_w1_b",
    "lokr_w2": "lokr_w2",
    "lokr_w2_a": "lokr_w2_a",
    "lokr_w2_b": "lokr_w2_b",
    "lokr_t2": "lokr_t2",
    "oft_blocks": "oft_blocks",
    "oft_R.weight": "oft_r",
    "oft_R.scaled_oft": "oft_scaled",  # a flag beside oft_R
    "rescale": "rescale",
    "a1.weight": "glora_a1",
    "a2.weight": "glora_a2",
    "b1.weight": "glora_b1",
    "b2.weight": "glora_b2",
    "bm.weight": "glora_bm",
    "on_input": "on_input",
    # Whole weights
    "diff": "diff",
    "diff_b": "diff_b",
    "diff_m": "diff_m",
    "set_weight": "set_weight",
    "reshape_weight": "reshape_weight",
    "w_norm": "w_norm",
    "b_norm": "b_norm",
}

# ".lora_A.<adapter>.weight": dumps that kept PEFT's name of the adapter, "default" as a rule.
_NAMED_ADAPTERS: Final[dict[str, str]] = {
    "lora_A": "lora_down",
    "lora_B": "lora_up",
    "lora_down": "lora_down",
    "lora_up": "lora_up",
    "lora_magnitude_vector": "dora_scale",
    "oft_R": "oft_r",
}
# "to_q_lora.down.weight" (diffusers of 2023, XLabs) and "qkv_lora1.down.weight" (XLabs: 1 = image, 2 = text).
_FUSED_PAIR: Final = re.compile(r"(?:_lora|(?P<stream>_lora[12]))\.(?P<side>down|up)\.weight\Z")
# "oft_blocks.0": sd-scripts gives each row slice of a fused weight a rotation of its own.
_SLICED_OFT: Final = re.compile(r"\.oft_blocks\.(?P<slice>\d{1,2})\Z")
# "norm.key_norm.scale" in control LoRAs of Black Forest Labs: a replacement, spelled like the base model's own tensor.
_NORM_SCALE: Final = re.compile(r"_norm\.scale\Z")

# Suffixes that a longer one ends in.
_TAILS: Final = frozenset(tail for tail in _SUFFIXES if any(suffix.endswith(f".{tail}") for suffix in _SUFFIXES))
_LONGEST_SUFFIX: Final = max(suffix.count(".") for suffix in _SUFFIXES)


class _Prefix(NamedTuple):
    text: str
    part: str
    dialect: str
    final: bool = False  # what follows is a module, never another prefix


# Prefixes nest ("base_model.model.diffusion_model."), so they are taken off one after the other until none fits;
# the innermost names the part. Flattened ones end the walk: an underscore is no boundary.
_PREFIXES: Final[tuple[_Prefix, ...]] = (
    _Prefix("lora_unet__", "model", "kohya", final=True),
    _Prefix("lora_unet_", "model", "kohya", final=True),
    _Prefix("oft_unet_", "model", "kohya", final=True),
    _Prefix("lora_prior_unet_", "model", "kohya", final=True),
    _Prefix("lora_prior_te_", "te", "kohya", final=True),
    _Prefix("lora_te_", "te", "kohya", final=True),
    _Prefix("lora_te1_", "te1", "kohya", final=True),
    _Prefix("lora_te2_", "te2", "kohya", final=True),
    _Prefix("lora_te3_", "te3", "kohya", final=True),
    _Prefix("lora_te4_", "te4", "kohya", final=True),
    _Prefix("oft_te_", "te", "kohya", final=True),
    _Prefix("oft_te1_", "te1", "kohya", final=True),
    _Prefix("oft_te2_", "te2", "kohya", final=True),
    _Prefix("lora_transformer_", "model", "onetrainer", final=True),
    _Prefix("lycoris_", "model", "lycoris", final=True),
    _Prefix("transformer.", "model", "diffusers"),
    _Prefix("transformer_1.", "model", "diffusers"),
    _Prefix("transformer_2.", "model_2", "diffusers"),
    _Prefix("unet.", "model", "diffusers"),
    _Prefix("prior.", "model", "diffusers"),
    _Prefix("diffusion_model.", "model", "comfyui"),
    _Prefix("diffusion_model_2.", "model_2", "comfyui"),
    _Prefix("base_model.model.", "model", "peft"),
    _Prefix("model.", "model", "original"),
    _Prefix("net.", "model", "original"),
    _Prefix("pipe.dit.", "model", "original"),
    _Prefix("dit.", "model", "original"),
    _Prefix("text_encoder.", "te1", "diffusers"),
    _Prefix("text_encoder_1.", "te1", "diffusers"),
    _Prefix("text_encoder_2.", "te2", "diffusers"),
    _Prefix("text_encoder_3.", "te3", "diffusers"),
    _Prefix("text_encoder_4.", "te4", "diffusers"),
    _Prefix("clip_l.", "te1", "onetrainer"),
    _Prefix("clip_g.", "te2", "onetrainer"),
    _Prefix("t5.", "te3", "onetrainer"),
    _Prefix("cond_stage_model.", "te", "original"),
    _Prefix("conditioner.embedders.0.", "te1", "original"),
    _Prefix("conditioner.embedders.1.", "te2", "original"),
)
_BY_TEXT: Final = {prefix.text: prefix for prefix in _PREFIXES}
_ANY_PREFIX: Final = re.compile(
    "|".join(re.escape(prefix.text) for prefix in sorted(_PREFIXES, key=lambda prefix: -len(prefix.text)))
)
# ComfyUI names the encoder: "text_encoders.t5xxl.transformer.encoder.block.0..."
_NAMED_ENCODER: Final = re.compile(r"text_encoders\.(?P<name>\w+)\.(?:transformer\.|model\.)*")
_ENCODER_PARTS: Final = {"clip_l": "te1", "clip_g": "te2", "t5xxl": "te3"}


class _Stem(NamedTuple):
    part: str
    module: str
    root: str
    dialect: str


def parse_key(raw: str) -> Key | None:
    """Take one tensor name apart; ``None`` where it ends in no known role (a base model's ``.weight``, say)."""
    found = split_role(raw)
    if found is None:
        return None
    stem, role = found
    part, module, root, dialect = split_stem(stem)
    return Key(raw, part, module, role, root, dialect)


def split_role(raw: str) -> tuple[str, str] | None:
    """(name without its role, role); ``None`` where it ends in no known one."""
    cut = len(raw)
    found: tuple[str, str] | None = None
    for _ in range(_LONGEST_SUFFIX + 1):
        cut = raw.rfind(".", 0, cut)
        if cut <= 0:
            break
        suffix = raw[cut + 1 :]
        role = _SUFFIXES.get(suffix)
        if role is not None:
            found = raw[:cut], role
            if suffix not in _TAILS:
                return found  # else a longer suffix, met later, is the better one
    return found or _split_rare_role(raw)


def _split_rare_role(raw: str) -> tuple[str, str] | None:
    """The spellings that carry a name or number of their own."""
    parts = raw.rsplit(".", 3)
    if len(parts) == 4 and parts[3] == "weight" and parts[1] in _NAMED_ADAPTERS:
        return parts[0], _NAMED_ADAPTERS[parts[1]]
    if pair := _FUSED_PAIR.search(raw):
        return raw[: pair.start()] + (pair["stream"] or ""), f"lora_{pair['side']}"
    if sliced := _SLICED_OFT.search(raw):
        return f"{raw[: sliced.start()]}.{int(sliced['slice'])}", "oft_blocks"
    if _NORM_SCALE.search(raw):
        return raw.removesuffix(".scale"), "set_weight"
    return None


@lru_cache(maxsize=16_384)
def split_stem(stem: str) -> _Stem:
    """Take the prefixes off a name that has lost its role: (part, folded module, prefixes as they stood, dialect).

    A name without a prefix is of the ``model``, in the ``bare`` dialect.
    """
    part, dialect, start = "model", "bare", 0
    while True:
        if encoder := _NAMED_ENCODER.match(stem, start):
            part, dialect = _ENCODER_PARTS.get(encoder["name"], "te"), "comfyui"
            start = encoder.end()
            continue
        match = _ANY_PREFIX.match(stem, start)
        if match is None or match.end() == len(stem):
            break
        prefix = _BY_TEXT[match[0]]
        inside_encoder = part.startswith("te") and prefix.part == "model"
        # "text_encoder.model.layers.0": a wrapper inside an encoder does not make it the denoiser again.
        part = part if inside_encoder else _inner_part(part, prefix.part)
        if dialect == "bare" or (dialect == "peft" and prefix.dialect != "original"):
            dialect = prefix.dialect
        start = match.end()
        if prefix.final:
            break
    return _Stem(part, stem[start:].replace(".", "_"), stem[:start], dialect)


def _inner_part(outer: str, inner: str) -> str:
    return outer if outer == "model_2" and inner == "model" else inner
