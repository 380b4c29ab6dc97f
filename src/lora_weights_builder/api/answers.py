"""Records of the library into the schemas of the wire, and what only an answer needs to know.

The one rule that lives here: which blocks an answer shows for an entry, whatever an older catalogue stored for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any

import orjson

from lora_weights_builder import records
from lora_weights_builder.api import schemas
from lora_weights_builder.api.block_schemas import Block, BlocksAnswer
from lora_weights_builder.api.sidecar_answers import preview_fields, sidecar_fields
from lora_weights_builder.errors import UsageError
from lora_weights_builder.inspector import facts_view
from lora_weights_builder.inspector.block_layouts import Layout, registry
from lora_weights_builder.library.entry_layout import fallback_layout

_ROW_FIELDS = tuple(schemas.LoraRow.model_fields)
_row_values = attrgetter(*_ROW_FIELDS)

NOT_MEASURED = "no block of this entry has been measured"


def search_json(page: records.SearchPage, facets: Mapping[str, Sequence[records.FacetValue]] | None) -> bytes:
    """The JSON of a :class:`~lora_weights_builder.api.schemas.SearchAnswer`.

    Written without building the models, which costs three times as much; that it fits them exactly is tested.
    """
    return orjson.dumps(
        {
            "results": [_listed(row) for row in page.rows],
            "count": len(page.rows),
            "total": page.total,
            "total_is_exact": page.total_is_exact,
            "limit": page.limit,
            "offset": page.offset,
            "next_cursor": page.next_cursor,
            "facets": facets,
        }
    )


def _listed(row: records.LoraRow) -> dict[str, object]:
    fields = dict(zip(_ROW_FIELDS, _row_values(row), strict=True))
    if row.block_layout is not None:
        fields["block_layout"] = registry().normalise_layout(row.block_layout)
    return fields


def lora_detail(detail: records.LoraDetail) -> schemas.LoraDetail:
    """Everything of one entry, its blocks as :func:`blocks_answer` shows them."""
    modules, problem = facts_view.read(detail.module_facts)
    shown = _blocks_answer(detail, modules, problem)
    row: dict[str, Any] = {
        name: getattr(detail.row, name) for name in schemas.LoraDetail.model_fields if hasattr(detail.row, name)
    }
    row.update(
        block_layout=shown.block_layout,
        block_count=shown.block_count,
        has_block_weights=shown.has_block_weights,
        fallback=shown.fallback,
        fallback_reason=shown.fallback_reason,
    )
    return schemas.LoraDetail.model_validate(
        {
            **row,
            **facts_view.file_fields(modules, detail.energy_ranks),
            "blocks": shown.blocks,
            "validation_warnings": shown.validation_warnings,
            "metadata": dict(detail.metadata),
            "summary": detail.summary,
            "history": detail.history,
            "duplicates": detail.duplicates,
            "pair": detail.pair,
            "base_model_evidence": detail.base_model_evidence,
            "sidecar": sidecar_fields(detail.sidecar),
            "preview": preview_fields(detail),
            "notes": detail.notes,
        }
    )


def modules_json(detail: records.LoraDetail, block_index: int | None) -> bytes:
    """The JSON of a :class:`~lora_weights_builder.api.block_schemas.ModulesAnswer`, written as a search is.

    Raises:
        UsageError: the entry's layout has no such block.
    """
    warnings: list[str] = []
    layout = _layout_of(detail.row, warnings)
    block_count = layout.block_count if layout is not None else 0
    if block_index is not None and block_index >= block_count:
        has = f"has the blocks 0 to {block_count - 1}" if block_count else "has no layout, hence no blocks"
        raise UsageError(f"block_index is {block_index}, but {detail.row.stable_id} {has}.", subject="block_index")
    modules, problem = facts_view.read(detail.module_facts)
    shown = facts_view.module_fields(modules or (), layout, block_index)
    return orjson.dumps(
        {
            "stable_id": detail.row.stable_id,
            "block_layout": layout.id if layout is not None else None,
            "measured": modules is not None,
            "modules": shown,
            "count": len(shown),
            "validation_warnings": [*warnings, problem] if problem else warnings,
        }
    )


def blocks_answer(detail: records.LoraDetail) -> BlocksAnswer:
    """The blocks to show for an entry.

    The stored layout is normalised through the registry each time, so that a name of the earlier system, or none, never
    reaches a client unexplained. What the layout and the stored blocks disagree about becomes a validation warning.
    """
    return _blocks_answer(detail, *facts_view.read(detail.module_facts))


def _blocks_answer(
    detail: records.LoraDetail, modules: Sequence[records.ModuleFacts] | None, problem: str | None
) -> BlocksAnswer:
    row = detail.row
    warnings = [problem] if problem else []
    layout = _layout_of(row, warnings)
    if not detail.blocks and not row.pending:
        fallback = fallback_layout(row)
        if fallback is not None:
            return _neutral(row, fallback, warnings)
    return BlocksAnswer(
        stable_id=row.stable_id,
        has_block_weights=row.has_block_weights and bool(detail.blocks),
        block_layout=layout.id if layout is not None else None,
        block_count=layout.block_count if layout is not None else len(detail.blocks),
        fallback=row.fallback,
        fallback_reason=row.fallback_reason,
        blocks=_shown_blocks(detail, layout, modules, warnings),
        validation_warnings=warnings,
    )


def _layout_of(row: records.LoraRow, warnings: list[str]) -> Layout | None:
    if row.block_layout is None:
        return None
    layout_id = registry().normalise_layout(row.block_layout)
    if layout_id is None:
        warnings.append(f"unknown_layout: the stored layout {row.block_layout!r} is none that is known")
        return None
    if layout_id != row.block_layout:
        warnings.append(f"layout_renamed: the stored layout {row.block_layout!r} is read as {layout_id!r}")
    return registry().layouts[layout_id]


def _neutral(row: records.LoraRow, layout: Layout, warnings: list[str]) -> BlocksAnswer:
    from lora_weights_builder.inspector.delta_inspector import neutral_blocks  # brings numpy, which few answers need

    return BlocksAnswer(
        stable_id=row.stable_id,
        has_block_weights=False,
        block_layout=layout.id,
        block_count=layout.block_count,
        fallback=True,
        fallback_reason=row.fallback_reason or row.error or NOT_MEASURED,
        blocks=_without_facts(neutral_blocks(layout)),
        validation_warnings=warnings,
    )


def _without_facts(blocks: Sequence[records.BlockStrength]) -> list[Block]:
    return [Block(**asdict(block), **facts_view.UNKNOWN_BLOCK) for block in blocks]


def _shown_blocks(
    detail: records.LoraDetail,
    layout: Layout | None,
    modules: Sequence[records.ModuleFacts] | None,
    warnings: list[str],
) -> list[Block]:
    """The stored blocks on the layout's places: absent ones filled in, stray ones kept at the end without a label."""
    if layout is None or not detail.blocks:
        return _without_facts(detail.blocks)
    stored: Mapping[int, records.BlockStrength] = {block.block_index: block for block in detail.blocks}
    if len(stored) != layout.block_count or len(detail.blocks) != len(stored):
        warnings.append(
            f"block_count_mismatch: {layout.id} has {layout.block_count} blocks, {len(detail.blocks)} are stored"
        )
    facts = facts_view.block_fields(None if detail.row.fallback else modules, layout.block_count)
    shown = []
    for place, fields in zip(layout.blocks, facts, strict=True):
        found = stored.get(place.index)
        shown.append(
            Block(
                block_index=place.index,
                label=place.label,
                group=place.group,
                weight=found.weight if found else 0.0,
                raw_strength=found.raw_strength if found else (0.0 if detail.row.has_block_weights else None),
                present=found is not None and found.present,
                **fields,
            )
        )
    places = {place.index for place in layout.blocks}
    for index in sorted(stored.keys() - places):
        block = stored[index]
        shown.append(
            Block(
                block_index=index,
                label=None,
                group=None,
                weight=block.weight,
                raw_strength=block.raw_strength,
                present=block.present,
                **facts_view.UNKNOWN_BLOCK,
            )
        )
    return shown


def scan_counts(summary: records.ScanSummary) -> schemas.ScanCounts:
    """What a run found, under the names of `lwb index --json`."""
    return schemas.ScanCounts.model_validate(summary.to_json())


def index_summary(summary: records.CatalogSummary) -> schemas.IndexSummary:
    """The counts that the answer of a finished reindex carries."""
    return schemas.IndexSummary(
        total=summary.total_loras,
        with_blocks=summary.with_blocks,
        no_blocks=summary.total_loras - summary.with_blocks,
        with_stable_id=summary.with_stable_id,
    )
