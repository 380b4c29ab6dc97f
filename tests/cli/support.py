"""The files of the small library, and what a command line's answer is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

COAT = "FLUX/08 - Clothing/waxed_cotton_coat.safetensors"
COAT_COPY = "FLUX/08 - Clothing/waxed_cotton_coat (1).safetensors"
TRUNCATED = "FLUX/08 - Clothing/interrupted_download.safetensors"
FOREIGN = "FLUX/02 - Styles/unknown_trainer_export.safetensors"
ENCODER_ONLY = "FLUX/03 - Utils/clip_prompt_adherence.safetensors"
SINGLE_ONLY = "FLUX/03 - Utils/film_grain_and_halation.safetensors"
CHALK = "SD/02 - Styles/pastel_chalk_v1.safetensors"
CLAY = "WAN2.1/T2V/02 - Styles/wan_claymation.safetensors"
FILES = (COAT, COAT_COPY, TRUNCATED, FOREIGN, ENCODER_ONLY, SINGLE_ONLY, CHALK, CLAY)


@dataclass(frozen=True)
class Answer:
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Lwb = Callable[..., Answer]
