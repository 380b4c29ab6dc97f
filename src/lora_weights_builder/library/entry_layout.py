"""The layout whose blocks stand for an entry: its own, or the neutral fallback of its base model.

Whoever shows an entry's blocks and whoever takes numbers for them asks here, so that both mean the same blocks.
"""

from __future__ import annotations

from lora_weights_builder.inspector.block_layouts import Layout, registry
from lora_weights_builder.records import LoraRow


def shown_layout(row: LoraRow, *, has_blocks: bool) -> Layout | None:
    """The layout of the blocks that an entry shows, ``None`` where it shows none.

    Args:
        has_blocks: whether blocks are stored for it, measured or neutral.
    """
    if not has_blocks and not row.pending:
        fallback = fallback_layout(row)
        if fallback is not None:
            return fallback
    layout_id = registry().normalise_layout(row.block_layout)
    return None if layout_id is None else registry().layouts[layout_id]


def fallback_layout(row: LoraRow) -> Layout | None:
    """The layout that stands for an entry of this base model while nothing is known of its blocks."""
    base = registry().base_models.get(row.base_model_code)
    if base is None or base.fallback_layout is None:
        return None
    if row.block_layout is not None and row.model_family not in {None, base.family}:
        return None  # another architecture in this folder keeps its own layout
    return registry().layouts[base.fallback_layout]
