"""How one LoRA is shown: the facts as labelled lines, the blocks as a chart. Shared by ``inspect`` and ``show``.

Works on the inspector's record. A catalogue entry carries the same names, so it is shown as the record behind it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from lora_weights_builder.cli import block_chart, module_table
from lora_weights_builder.cli.console import draws_unicode, human_size, shortened, shown
from lora_weights_builder.inspector import facts_view
from lora_weights_builder.library import paths
from lora_weights_builder.records import LoraDetail, LoraRecord, MetadataSummary

if TYPE_CHECKING:
    from rich.console import Console

    from lora_weights_builder.inspector.block_layouts import Layout

_LABEL_WIDTH: Final = 14
_TRIGGER_WORDS_SHOWN: Final = 12
_TAGS_SHOWN: Final = 8
_VALUE_CHARACTERS: Final = 400  # of one metadata value; the JSON answer has it whole
_EVIDENCE: Final = {
    "tensors": "told by its tensors",
    "metadata": "told by its metadata",
    "folder": "told by its folder",
    "prior": "the likeliest of those its tensors allow",
}


def as_json(record: LoraRecord, *, with_modules: bool = False) -> dict[str, Any]:
    """The record as the JSON answers have it: the fields of ``LoraRecord`` by name, paths as valid Unicode.

    In place of the packed module facts stand what they say of the file and of each block, and, if asked for, of each
    module.
    """
    packed, record = record.module_facts, dataclasses.replace(record, module_facts=None)
    answer = dataclasses.asdict(record)
    del answer["module_facts"], answer["energy_ranks"]
    modules, problem = facts_view.read(packed)
    if problem:
        answer["warnings"] = [*answer["warnings"], problem]
    answer |= facts_view.file_fields(modules, record.energy_ranks)
    of_blocks = facts_view.block_fields(None if record.fallback else modules, len(record.blocks))
    for block, fields in zip(answer["blocks"], of_blocks, strict=True):
        block |= fields
    if with_modules:
        answer["modules"] = facts_view.module_fields(modules or (), layout_of(record.block_layout))
    for name in ("file_path", "filename", "lora_name"):
        answer[name] = paths.to_text(answer[name])
    return answer


def record_of(detail: LoraDetail) -> LoraRecord:
    """The inspector's record of an entry, as far as the catalogue keeps it."""
    names = {field.name for field in dataclasses.fields(LoraRecord)}
    row = {field.name: getattr(detail.row, field.name) for field in dataclasses.fields(detail.row)}
    kept = {name: value for name, value in row.items() if name in names}
    return LoraRecord(
        **kept,
        measured=not detail.row.pending,
        module_facts=detail.module_facts,
        energy_ranks=detail.energy_ranks,
        base_model_evidence=detail.base_model_evidence,
        blocks=detail.blocks,
        metadata=detail.metadata,
        summary=detail.summary,
    )


def print_lora(console: Console, lora: LoraRecord, *, title: str | None = None, with_modules: bool = False) -> None:
    """Everything a person asks of one LoRA, at most as wide as the terminal where it has a choice."""
    from rich.text import Text

    console.print(Text(shown(title or lora.filename), style="bold"))
    for label, value, style in _facts(lora):
        console.print(Text(f"  {label:<{_LABEL_WIDTH}}", style="dim").append(value, style=style))
    if lora.blocks:
        glyphs = block_chart.UNICODE if draws_unicode(console) else block_chart.ASCII
        for line in block_chart.draw(lora.blocks, layout_of(lora.block_layout), width=console.width, glyphs=glyphs):
            console.print(line)
    if lora.has_block_weights or lora.energy_ranks is not None:
        console.print(f"  {_ranks(lora)}")
    if with_modules:
        modules, problem = facts_view.read(lora.module_facts)
        for row in module_table.lines(modules, layout_of(lora.block_layout), problem):
            console.print(row)


def _ranks(lora: LoraRecord) -> str:
    """The sentence below the chart: how much of the change a lower rank would keep."""
    if lora.module_facts is None:
        return "singular values: not measured by the version that read this file; `lwb index --full` reads it again"
    return facts_view.rank_sentence(lora.rank, lora.energy_ranks)


def layout_of(layout_id: str | None) -> Layout | None:
    """The registry's layout, ``None`` for ids that only an older catalogue knows."""
    from lora_weights_builder.inspector.block_layouts import registry

    return registry().layouts.get(layout_id) if layout_id else None


def _facts(lora: LoraRecord) -> Iterator[tuple[str, str, str]]:
    """(label, value, style) a line."""
    yield "model", _model(lora), ""
    yield "adapter", _adapter(lora), ""
    if lora.block_layout:
        yield "layout", f"{lora.block_layout} ({lora.block_count} blocks)", ""
    other_kinds = [kind for kind in lora.strength_kinds if kind != "delta"]
    if other_kinds:
        yield "measured as", f"{', '.join(other_kinds)} (not comparable with plain differences)", ""
    if lora.clip_tensor_count:
        yield "text encoder", f"yes, {lora.clip_tensor_count} tensors", ""
    yield from _training(lora.summary)
    tensors = f"{human_size(lora.size_bytes)}, {lora.tensor_count} tensors"
    if lora.unmatched_tensor_count:
        tensors += f", {lora.unmatched_tensor_count} of them unknown"
    yield "file", tensors, ""
    if lora.content_hash:
        yield "content", lora.content_hash, ""
    if lora.fallback:
        yield "not measured", shown(lora.fallback_reason or "no reason recorded"), "yellow"
    if lora.error and lora.error != lora.fallback_reason:
        yield "error", shown(lora.error), "red"
    for warning in lora.warnings:
        yield "warning", shown(warning), "yellow"


def _model(lora: LoraRecord) -> str:
    from lora_weights_builder.inspector.block_layouts import registry

    base = f"{lora.base_model_name or 'base model'} [{lora.base_model_code}]"
    if lora.architecture is None:
        candidates = ", ".join(lora.ambiguous_architectures)
        return f"{base}, architecture open between {candidates}" if candidates else f"{base}, architecture unknown"
    known = registry().architectures.get(lora.architecture)
    text = f"{known.name if known else lora.architecture} ({lora.architecture}), {base}"
    if lora.variant:
        text += f", variant {shown(lora.variant)}"
    if lora.architecture_evidence:
        text += f"; {_EVIDENCE[lora.architecture_evidence]}"
    return text


def _adapter(lora: LoraRecord) -> str:
    parts = [" + ".join(lora.adapter_types) or "none recognised"]
    if lora.rank is not None:
        parts.append(f"rank {lora.rank}")
    if lora.alpha is not None:
        parts.append(f"alpha {lora.alpha:g}")
    if lora.dialect:
        parts.append(f"{lora.dialect} names")
    return ", ".join(parts)


def _training(summary: MetadataSummary) -> Iterator[tuple[str, str, str]]:
    if summary.title:
        yield "title", shortened(summary.title, _VALUE_CHARACTERS), ""
    if summary.trigger_words:
        words = ", ".join(summary.trigger_words[:_TRIGGER_WORDS_SHOWN])
        yield "trigger words", shortened(words, _VALUE_CHARACTERS), "green"
    if summary.tags:
        tags = ", ".join(f"{tag} ({count})" for tag, count in summary.tags[:_TAGS_SHOWN])
        yield "tags", shortened(tags, _VALUE_CHARACTERS), ""
    trained = [
        f"on {summary.base_checkpoint}" if summary.base_checkpoint else summary.base_model,
        f"with {summary.trainer}" if summary.trainer else None,
        f"{summary.steps} steps" if summary.steps else None,
        "{}x{}".format(*summary.resolution) if summary.resolution else None,
        summary.date.removesuffix("T00:00:00") if summary.date else None,
    ]
    said = ", ".join(part for part in trained if part)
    if said:
        yield "trained", shortened(said, _VALUE_CHARACTERS), ""
