"""What there may be to say of an entry, as one number that an index can hold, and what is counted beside it."""

from __future__ import annotations

from typing import Final

CONTRADICTION: Final = "_contradiction: "
"""How the codes of such warnings end, and what follows before the sentence."""
CONDITIONS: Final = {
    "unreadable": "error IS NOT NULL",
    "pending": "error IS NULL AND measured = 0",
    "fallback": "fallback = 1",
    "duplicate": "duplicate_of IS NOT NULL",
    "contradiction": f"instr(warnings, '{CONTRADICTION}') > 0",
}
"""Each is a bit of ``lora.condition``, the first the lowest; where that is 0 there is nothing to say."""
CONDITION: Final = " + ".join(f"{1 << bit} * ({test})" for bit, test in enumerate(CONDITIONS.values()))
FACET_COLUMNS: Final = (
    "condition", "base_model_code", "category_code", "role", "architecture", "block_layout", "adapter_types", "rank",
    "has_block_weights",
)  # fmt: skip
"""All that facets count by, beside the state, so that they are counted from an index alone."""
