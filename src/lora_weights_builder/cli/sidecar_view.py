"""What lies beside a LoRA file, as labelled lines, each claim with the file that makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from lora_weights_builder.cli.console import shortened
from lora_weights_builder.records import LoraDetail, SidecarFacts

_CHARACTERS: Final = 400  # of one value; the JSON answer has it whole
_MATCHES: Final = {
    True: "it is this file's",
    False: "not this file's, so what is said may be of another version",
    None: "not compared; `lwb hash` works the file's out",
}


def sidecar_lines(detail: LoraDetail) -> Iterator[tuple[str, str]]:
    """(label, value) a line; the values are foreign text, to be escaped by whoever prints them."""
    if detail.preview is not None:
        yield "preview", detail.preview
    if detail.sidecar is None:
        return
    facts, said_by = detail.sidecar.facts, detail.sidecar.said_by
    for label, value, source in _values(facts, said_by):
        if source is not None:
            yield label, f"{shortened(value, _CHARACTERS)} (says {source})"
    if facts.sha256 is not None:
        said = f"says {said_by['sha256']}; {_MATCHES[detail.sidecar.sha256_matches]}"
        yield "sha256", f"{facts.sha256} ({said})"
    for file in detail.sidecar.files:
        if file.problem is not None:
            yield "not read", f"{file.name}: {file.problem}"


def _values(facts: SidecarFacts, said_by: Mapping[str, str]) -> Iterator[tuple[str, str, str | None]]:
    """(label, value, the file that says it or ``None`` where no file does)."""
    told = said_by.get
    yield "called", _named(facts.model_name, facts.model_id), told("model_name") or told("model_id")
    yield "version", _named(facts.version_name, facts.version_id), told("version_name") or told("version_id")
    yield "claimed base", facts.base_model or "", told("base_model")
    yield "said triggers", ", ".join(facts.trigger_words), told("trigger_words")
    yield "said tags", ", ".join(facts.tags), told("tags")
    yield "description", facts.description or "", told("description")


def _named(name: str | None, number: int | None) -> str:
    return (name or "") if number is None else f"{name or ''} [{number}]".strip()
