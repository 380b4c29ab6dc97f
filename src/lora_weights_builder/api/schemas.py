"""The JSON that goes over the wire: one exact model an answer, with an example.

The only room with pydantic. Field names are promises to scripts and to the web clients; add to them, rename none.
Nothing here reads the catalogue or decides anything: the routers turn records into these models.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lora_weights_builder.api import examples
from lora_weights_builder.api.base_schema import ApiModel, example
from lora_weights_builder.api.block_schemas import Block, EnergyRank
from lora_weights_builder.api.sidecar_schemas import Preview, Sidecar
from lora_weights_builder.records import BaseEvidence, Choosable, EntryState, ScanPhase

DirectedSortKey = Literal[
    "stable_id", "-stable_id", "filename", "-filename", "base", "-base", "category", "-category", "layout", "-layout",
    "rank", "-rank", "size", "-size", "modified", "-modified", "added", "-added", "strength", "-strength",
    "architecture", "-architecture", "role", "-role", "adapter", "-adapter", "blocks", "-blocks",
]  # fmt: skip
JobPhase = Literal["idle", "stopped", "failed"] | ScanPhase


class FieldProblem(ApiModel):
    """One parameter or body field that was refused."""

    field: str = Field(description="Where it was given and its name, such as `query.limit`.")
    reason: str


class ErrorBody(ApiModel):
    """The one shape of every error this server answers with."""

    model_config = example(
        {
            "detail": "No entry has the id 'FLX-CLT-999'. `GET /api/lora/search` lists the ids there are.",
            "code": "not_found",
            "subject": "FLX-CLT-999",
            "fields": [],
        }
    )

    detail: str = Field(description="One sentence for people: what, why, and what to do.")
    code: str = Field(description="A stable machine name such as `not_found`, `invalid_request`, `busy`.")
    subject: str | None = Field(description="The id or parameter the error is about.")
    fields: list[FieldProblem] = Field(description="The refused fields of an `invalid_request`, else empty.")


class Health(ApiModel):
    """Whether the server works, and on how much."""

    model_config = example(
        {
            "status": "ok", "version": "0.1.0", "database": "ok", "total_loras": 812, "with_blocks": 790,
            "missing": 3, "failed": 1, "duplicates": 12, "indexing": False,
        }
    )  # fmt: skip

    status: Literal["ok", "degraded"]
    version: str
    database: Literal["ok", "unavailable"]
    total_loras: int
    with_blocks: int
    missing: int
    failed: int
    duplicates: int
    indexing: bool


class LoraRow(ApiModel):
    """One entry of the library as lists show it."""

    model_config = example(examples.ROW)

    id: int
    stable_id: str
    file_path: str
    rel_path: str = Field(description="POSIX path relative to its root.")
    lora_name: str = Field(description="Path relative to its root, as ComfyUI lists it.")
    filename: str
    root_id: int | None
    base_model_code: str
    base_model_name: str | None
    category_code: str
    category_name: str | None
    role: str = Field(description="Part the entry plays in a stack: character, style, clothing, pose ...")
    model_family: str | None
    architecture: str | None
    variant: str | None
    lora_type: str | None
    adapter_types: list[str]
    rank: int | None = Field(description="The most common rank of the file.")
    alpha: float | None
    block_layout: str | None
    block_count: int
    has_block_weights: bool
    pending: bool = Field(description="Listed, but its weights have not been read yet.")
    fallback: bool
    fallback_reason: str | None
    clip_contributor: bool
    clip_tensor_count: int
    strength: float | None = Field(description="Root of the summed squares of the blocks' raw strengths.")
    weights: list[float] | None = Field(description="One weight (0..1) a block of the layout; null if unmeasured.")
    size_bytes: int
    content_hash: str | None
    state: EntryState
    stale: bool = Field(description="The file could not be looked at in the last run; the row shows an earlier state.")
    stale_reason: str | None
    duplicate_of: str | None = Field(description="Stable id of the entry with the same content that came first.")
    pair_id: str | None = Field(description="Stable id of the other half of a LoRA that comes in two files.")
    error: str | None
    error_code: str | None
    warnings: list[str]
    title: str | None
    trigger_words: list[str]
    revision: int = Field(description="How many contents this entry has had.")
    last_modified: str | None
    created_at: str | None
    updated_at: str | None
    favourite: bool
    tags: list[str] = Field(description="What somebody tagged the entry with, by name.")
    set_by_person: list[Choosable] = Field(
        description="Which of base model, category and role were set by hand; a scan does not change these."
    )


class FacetValue(ApiModel):
    """One value a filter can take within the current search, and how many entries have it."""

    value: str | None = Field(description="Null counts the entries without one.")
    label: str
    count: int


class SearchAnswer(ApiModel):
    """A page of the library."""

    model_config = example(
        {
            "results": [examples.ROW], "count": 1, "total": 1, "total_is_exact": True, "limit": 50, "offset": 0,
            "next_cursor": None, "facets": {"base": [{"value": "FLX", "label": "FLUX", "count": 1}]},
        }
    )  # fmt: skip

    results: list[LoraRow]
    count: int = Field(description="Entries on this page.")
    total: int = Field(description="Entries that match; an estimate where `total_is_exact` is false.")
    total_is_exact: bool
    limit: int
    offset: int
    next_cursor: str | None = Field(description="Give it back as `cursor` for the next page; null on the last.")
    facets: dict[str, list[FacetValue]] | None = Field(description="Null unless asked for with `facets=1`.")


class FileHashes(ApiModel):
    """Whole-file hashes, hex; null until asked for."""

    blake3: str | None
    sha256: str | None
    autov3: str | None


class MetadataSummary(ApiModel):
    """What the file's training metadata says, as far as people ask for it."""

    base_model: str | None
    base_checkpoint: str | None
    title: str | None
    author: str | None
    trigger_words: list[str]
    tags: list[tuple[str, int]] = Field(description="(tag, count), most frequent first.")
    declared_rank: int | None
    declared_alpha: float | None
    resolution: tuple[int, int] | None = Field(description="Training pixels (width, height).")
    date: str | None
    trainer: str | None
    steps: int | None
    epochs: int | None
    license: str | None
    description: str | None


class HistoryEvent(ApiModel):
    """One thing that happened to an entry; `before` and `after` are paths for a move, hashes for a revision."""

    at: str
    kind: Literal["added", "revised", "moved", "missing", "returned"]
    before: str | None
    after: str | None
    note: str | None


class PairLink(ApiModel):
    """The other half of a LoRA that comes in two files."""

    stable_id: str
    noise: str = Field(description="Which half that one is: `high-noise` or `low-noise`.")


class LoraDetail(LoraRow):
    """Everything known of one entry; shares its field names with `lwb inspect --json`."""

    model_config = example(examples.DETAIL)

    hashes: FileHashes
    ambiguous_architectures: list[str]
    architecture_evidence: str | None
    base_model_evidence: BaseEvidence | None = Field(
        description="What `base_model_code` comes from; null where it is unknown, set by hand, or older than this."
    )
    pair: PairLink | None
    preview: Preview | None = Field(description="The image beside the file; null where there is none.")
    sidecar: Sidecar | None = Field(description="What files of other programs beside it say; null where none does.")
    dialect: str | None
    tensor_count: int
    unmatched_tensor_count: int
    strength_kinds: list[str]
    parameters: int | None = Field(description="Numbers stored for the modules that count; null if unmeasured.")
    energy_rank: EnergyRank | None = Field(description="Of the whole file; null where no singular values are known.")
    blocks: list[Block]
    validation_warnings: list[str]
    metadata: dict[str, str]
    notes: str = Field(description="What somebody noted of the entry; empty where nobody did.")
    summary: MetadataSummary
    history: list[HistoryEvent] = Field(description="Oldest first.")
    duplicates: list[str] = Field(description="Stable ids of the other entries with the same content.")


class IndexSummary(ApiModel):
    """The library after a run, counted."""

    total: int
    with_blocks: int
    no_blocks: int
    with_stable_id: int


class ScanError(ApiModel):
    """A file or root that could not be indexed."""

    path: str
    reason: str


class ScanCounts(ApiModel):
    """What a run found, as `lwb index --json` prints it."""

    discovered: int
    added: int
    updated: int
    moved: int
    unchanged: int
    missing: int
    failed: int
    duplicates: int
    seconds: float
    errors: list[ScanError]


class ReindexAnswer(ApiModel):
    """The outcome of `reindex_all`; `summary` and `scan` are null unless it ran to its end within the request."""

    model_config = example(
        {
            "status": "success", "job_id": 3, "duration_sec": 4.2,
            "summary": {"total": 812, "with_blocks": 790, "no_blocks": 22, "with_stable_id": 812},
            "scan": {
                "discovered": 812, "added": 1, "updated": 0, "moved": 0, "unchanged": 811, "missing": 0, "failed": 0,
                "duplicates": 12, "seconds": 4.2, "errors": [],
            },
        }
    )  # fmt: skip

    status: Literal["success", "already_running", "started", "stopped"]
    job_id: int | None
    duration_sec: float | None
    summary: IndexSummary | None
    scan: ScanCounts | None


class ReindexOneAnswer(ApiModel):
    """One entry, read again from its file."""

    status: Literal["success", "failed"]
    stable_id: str
    duration_sec: float
    error: str | None
    lora: LoraDetail


class IndexStatus(ApiModel):
    """The library's counts and the running job's progress; also the payload of each server-sent event."""

    model_config = example(examples.INDEX_STATUS)

    indexing: bool
    job_id: int | None = Field(description="The running job, or the last one of this server.")
    phase: JobPhase = Field(description="Where the running job stands, or how the last one ended.")
    done: int = Field(description="Files of this phase that are done.")
    total: int | None = Field(description="Files of this phase; null while unknown.")
    bytes_done: int
    bytes_total: int | None
    current: str | None
    elapsed_sec: float | None
    eta_sec: float | None = Field(description="Seconds until the phase ends, as far as its pace tells.")
    counts: dict[str, int] = Field(description="The counters of `last_result` as known so far.")
    error_count: int
    errors: list[ScanError] = Field(description="What the last job could not use, at most 50 of them.")
    failure: str | None = Field(description="Why the last job ended before its time.")
    last_result: ScanCounts | None = Field(description="What the last job of this server found.")
    last_scan: str | None
    total_loras: int
    with_blocks: int
    pending: int
    missing: int
    failed: int
    duplicates: int
    duration_last_scan_sec: float | None


class StopAnswer(ApiModel):
    """Whether there was something to stop."""

    model_config = example({"status": "stopping", "job_id": 3})

    status: Literal["stopping", "not_running"]
    job_id: int | None
