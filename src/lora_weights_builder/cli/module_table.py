"""The modules of one LoRA as a table for the terminal: one line a module, blocks in the layout's order.

The JSON answers have the singular values too; a line has no room for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lora_weights_builder.cli.console import table
from lora_weights_builder.inspector import facts_view
from lora_weights_builder.records import ModuleFacts

if TYPE_CHECKING:
    from lora_weights_builder.inspector.block_layouts import Layout

_INDENT: Final = "  "
_HEADINGS: Final = ("block", "module", "adapter", "rank", "norm", "rms change", "stable rank", "95 % at rank")
_RIGHT: Final = (3, 4, 5, 6, 7)


def lines(modules: Sequence[ModuleFacts] | None, layout: Layout | None, problem: str | None = None) -> Iterator[str]:
    """The lines to print below a LoRA; one sentence where nothing is known of its modules."""
    if not modules:
        yield f"{_INDENT}modules: {problem or 'none measured'}"
        return
    for line in table(_HEADINGS, map(_cells, facts_view.module_fields(modules, layout)), right=_RIGHT):
        yield _INDENT + line


def _cells(module: Mapping[str, Any]) -> tuple[str, ...]:
    name = module["module"] if module["part"] == "model" else f"{module['part']} {module['module']}"
    kind = module["kind"] if module["counted"] else f"{module['kind']}, not counted"
    return (
        module["label"] or "-",
        name,
        kind,
        _shown(module["rank"]),
        _shown(module["norm"]),
        _shown(module["rms_change"]),
        _shown(module["stable_rank"]),
        _shown((module["energy_rank"] or {}).get("95")),
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
