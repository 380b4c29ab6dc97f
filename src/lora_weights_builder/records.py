"""Frozen values that travel between the rooms, each number with its unit.

Every value pickles, because inspections run in other processes. Nothing here computes, reads a file or knows a
database; whoever needs behaviour puts it in the room that owns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

AdapterType = Literal["lora", "locon", "loha", "lokr", "dora", "oft", "boft", "glora", "ia3", "full", "norm"]
StrengthKind = Literal["delta", "direction", "rotation", "partial", "scale"]
Evidence = Literal["tensors", "metadata", "folder", "prior"]
BaseEvidence = Literal["folder", "metadata", "tensors"]
PlaceKind = Literal["block", "global", "text_encoder", "unknown"]


class TensorInfo(NamedTuple):
    """One tensor of a safetensors header. ``start``/``end`` are byte offsets inside the data section.

    A tuple and no dataclass: a header makes hundreds of them, and tuples are made four times as fast.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """A validated safetensors header; ``tensors`` are in the order of their bytes.

    ``table_hash`` is a hex BLAKE3 over names, dtypes, shapes and the length of the data section: two files with other
    table hashes cannot hold the same content.
    """

    tensors: tuple[TensorInfo, ...]
    metadata: Mapping[str, str]
    data_start: int  # bytes from the start of the file
    data_bytes: int
    file_bytes: int
    table_hash: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """A tensor name taken apart by the key grammar.

    ``part`` is ``model`` (the denoiser), ``model_2`` (a second expert in the same file), or a text encoder:
    ``te``, ``te1``, ``te2``, ``te3``, ``te4``. ``module`` has every ``.`` folded to ``_``. ``role`` is the factor's
    canonical name (``lora_down``, ``lora_up``, ``lora_mid``, ``alpha``, ``dora_scale``, ``hada_w1_a`` ...).
    ``root`` is the prefix as it stood in the file and ``dialect`` the writer's convention it belongs to.
    """

    raw: str
    part: str
    module: str
    role: str
    root: str
    dialect: str


@dataclass(frozen=True, slots=True)
class ModuleAdapter:
    """All tensors that change one module, grouped, with the module's shape as derived from its factors.

    ``out_features`` x ``in_features`` are those of the flattened weight without the kernel; ``kernel`` is ``()`` for
    linear modules. ``rank`` is ``None`` for adapters without one (full, norm, ia3, undecomposed LoKr).
    ``alpha`` is only set here where metadata declares it (PEFT); a stored ``.alpha`` tensor is in ``tensors``.
    ``rank_stabilised`` means scale = alpha / sqrt(rank). ``problems`` are warnings; a module with a problem in
    ``fatal`` is not measured.
    """

    part: str
    module: str
    kind: AdapterType
    tensors: Mapping[str, TensorInfo]
    out_features: int | None
    in_features: int | None
    kernel: tuple[int, ...] = ()
    rank: int | None = None
    alpha: float | None = None
    rank_stabilised: bool = False
    dora: bool = False
    problems: tuple[str, ...] = ()
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a module sits in its model.

    ``block_index`` is the position in the layout (``None`` outside blocks). ``canonical`` names the weight in the
    architecture's native spelling, with ``#k`` for the k-th row slice of a fused weight, so that two spellings of one
    weight can be told to be the same.
    """

    kind: PlaceKind
    block_index: int | None
    canonical: str


@dataclass(frozen=True, slots=True)
class LayoutMatch:
    """What the tensors (and, for ties, metadata, folder, prior) say about the model a file belongs to.

    ``architecture`` is ``None`` where nothing matched or the tie must be reported; ``candidates`` lists all
    architectures the tensors allow and is empty when there is exactly one. ``placements`` is aligned with the modules
    given to the matcher. ``reason`` says in one sentence why there is no layout (``None`` where there is one).
    """

    architecture: str | None
    candidates: tuple[str, ...]
    evidence: Evidence | None
    layout_id: str | None
    placements: tuple[Placement, ...]
    unmatched_tensor_count: int
    dialect: str | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModuleStrength:
    """Measured size of one module's effective change.

    ``norm`` is ||dW||_F (dimensionless weight units) for kind ``delta``; see ``kind`` for what else it may be.
    ``alpha`` is the value read from the file or metadata, ``None`` where absent (scale 1). ``finite`` is false where
    any factor holds NaN or Inf; ``norm`` is then NaN and must not be stored. ``measured`` is false where the factors
    do not allow a strength (see ``problems``); ``norm`` is then 0.0 and stands for nothing. ``singular_values`` are
    those of dW with its kernel flattened into the inputs, largest first, at most 256 (64 of a Kronecker product),
    ``complete`` where they are all that are not zero; empty and not complete for kinds that have none.
    """

    norm: float
    kind: StrengthKind
    alpha: float | None
    finite: bool
    problems: tuple[str, ...] = ()
    measured: bool = True
    singular_values: tuple[float, ...] = ()
    complete: bool = False


EnergyRanks = tuple[int | None, int | None, int | None]
#: The shares of a change's energy (its squared norm), in percent, that an :data:`EnergyRanks` speaks of, in its order.
ENERGY_SHARES: Final = (90, 95, 99)


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """What is known of one module's change beyond its place: size, rank and spectrum.

    ``norm`` is that of ``strength_kind`` (||dW||_F for ``delta``), ``None`` where it could not be measured.
    ``parameters`` counts the numbers stored for it, ``elements`` those of the weight it changes (out x in x kernel;
    ``None`` where the factors leave that open). ``singular_values`` are those of dW with its kernel flattened into the
    inputs, largest first, ``complete`` where they are all that are not zero; empty for kinds that have none (rotation,
    scale). ``counted`` is false where the block's sum leaves the module out (spelled twice, or of another kind).
    """

    part: str
    module: str
    canonical: str
    block_index: int | None
    kind: AdapterType
    strength_kind: StrengthKind
    norm: float | None
    rank: int | None
    alpha: float | None
    parameters: int
    elements: int | None
    singular_values: tuple[float, ...] = ()
    complete: bool = False
    counted: bool = True


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """The same for all counted modules of a block, or of the whole file (``block_index`` ``None``).

    ``rank`` and ``alpha`` are the most common ones. ``rms_change`` = norm / sqrt(elements): the change of a typical
    single weight. ``stable_rank`` = ||dW||_F^2 / the largest singular value squared, over the modules put side by side
    as one block-diagonal matrix, whose largest ``singular_values`` are listed. ``energy_ranks``: the smallest rank to
    which every module can be cut so that the block keeps 90, 95, 99 % of its squared norm; ``None`` where the
    singular values that are known do not reach so far.
    """

    block_index: int | None
    modules: int
    rank: int | None
    alpha: float | None
    parameters: int
    elements: int | None
    norm: float | None
    rms_change: float | None
    stable_rank: float | None
    energy_ranks: EnergyRanks
    singular_values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockStrength:
    """One block of the layout. ``weight`` = ``raw_strength`` / the file's largest, 6 decimals.

    ``raw_strength`` = sqrt(sum of ||dW_m||_F^2) over the block's modules, ``None`` when nothing was measured.
    ``present`` is false where the file holds no module of this block.
    """

    block_index: int
    label: str
    group: str
    weight: float
    raw_strength: float | None
    present: bool = True


@dataclass(frozen=True, slots=True)
class FolderHint:
    """What the path of a file says about it; every field ``None`` where the path is silent."""

    base_model_code: str | None = None
    base_model_name: str | None = None
    category_code: str | None = None
    category_name: str | None = None
    role: str | None = None
    mode: str | None = None  # T2V, I2V ... of video models


@dataclass(frozen=True, slots=True)
class FileHashes:
    """Whole-file hashes, hex; ``None`` until asked for. ``autov3`` = first 12 hex of SHA-256 of the data section."""

    blake3: str | None = None
    sha256: str | None = None
    autov3: str | None = None


@dataclass(frozen=True, slots=True)
class MetadataSummary:
    """The training metadata that people ask for, from ``ss_*``, ``modelspec.*`` and their relatives.

    ``tags`` are (tag, count), most frequent first; ``trigger_words`` in the writer's order; ``resolution`` in pixels
    as (width, height); ``date`` ISO 8601. ``base_model`` is what the metadata claims, verbatim.
    """

    base_model: str | None = None
    base_checkpoint: str | None = None
    title: str | None = None
    author: str | None = None
    trigger_words: tuple[str, ...] = ()
    tags: tuple[tuple[str, int], ...] = ()
    declared_rank: int | None = None
    declared_alpha: float | None = None
    resolution: tuple[int, int] | None = None
    date: str | None = None
    trainer: str | None = None
    steps: int | None = None
    epochs: int | None = None
    license: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class LoraRecord:
    """Everything the inspector says of one file. The names are those of the JSON answers.

    ``measured`` is false after a header pass: blocks then carry no strengths yet, and ``content_hash`` is ``None``.
    ``error`` is the sentence for a file that could not be inspected, ``error_code`` its machine name.
    """

    file_path: str
    filename: str
    size_bytes: int
    lora_name: str | None = None
    content_hash: str | None = None
    table_hash: str | None = None
    hashes: FileHashes = field(default_factory=FileHashes)
    architecture: str | None = None
    ambiguous_architectures: tuple[str, ...] = ()
    architecture_evidence: Evidence | None = None
    variant: str | None = None
    model_family: str | None = None
    base_model_code: str = "UNK"
    base_model_name: str | None = None
    base_model_evidence: BaseEvidence | None = None  # what base_model_code comes from; None where it is unknown
    lora_type: str | None = None
    adapter_types: tuple[AdapterType, ...] = ()
    dialect: str | None = None
    rank: int | None = None
    alpha: float | None = None
    block_layout: str | None = None
    has_block_weights: bool = False
    measured: bool = False
    fallback: bool = False
    fallback_reason: str | None = None
    block_count: int = 0
    clip_contributor: bool = False
    clip_tensor_count: int = 0
    tensor_count: int = 0
    unmatched_tensor_count: int = 0
    strength_kinds: tuple[StrengthKind, ...] = ()
    error: str | None = None
    error_code: str | None = None
    warnings: tuple[str, ...] = ()
    blocks: tuple[BlockStrength, ...] = ()
    module_facts: bytes | None = None  # packed by inspector.module_facts, because records cross processes
    energy_ranks: EnergyRanks | None = None  # of the whole file
    metadata: Mapping[str, str] = field(default_factory=dict)
    summary: MetadataSummary = field(default_factory=MetadataSummary)


# --- the library ------------------------------------------------------------------------------------------------------

EntryState = Literal["present", "missing"]
StateFilter = Literal[
    "present", "missing", "any", "failed", "duplicate", "fallback", "ok", "unreadable", "pending", "contradiction"
]
SortKey = Literal[
    "stable_id", "filename", "base", "category", "layout", "rank", "size", "modified", "added", "strength",
    "architecture", "role", "adapter", "blocks",
]  # fmt: skip
Choosable = Literal["base", "category", "role"]
ScanPhase = Literal["walk", "headers", "identity", "store", "data", "duplicates", "done"]


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What the file system says about a file; equal stamps mean "not changed", so the file is not opened again.

    ``size`` in bytes, times in nanoseconds since the epoch. ``inode`` is 0 where the platform has none.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class RootInfo:
    """A library root. ``path`` is storable text; ``entries`` counts its present, ``missing`` its missing entries.

    ``available`` is ``None`` where nobody looked, else whether the folder could be listed when asked.
    """

    id: int
    path: str
    added_at: str
    last_scan: str | None
    entries: int
    missing: int
    available: bool | None = None


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for. ``None``, an empty string and ``ALL`` (any case) all mean "any".

    ``text`` is literal: it is found as it stands, ignoring case, in file name, path, id, title and trigger words,
    and in the names and trigger words that sidecars give.
    ``base``/``category`` are codes (``FLX``, ``CLT``). ``sort`` is a :data:`SortKey`, with a leading ``-`` for
    descending. An entry must have all ``tags``, in any case; ``rank_min`` and ``rank_max`` are both inclusive. With
    ``state`` ``ok`` there is nothing to say of an entry; ``failed`` is ``unreadable``. ``limit`` is 1 to 500.
    ``cursor`` is the ``next_cursor`` of the page before and overrides ``offset``.
    """

    text: str = ""
    base: str | None = None
    category: str | None = None
    layout: str | None = None
    architecture: str | None = None
    adapter: str | None = None
    role: str | None = None
    has_blocks: bool | None = None
    favourite: bool | None = None
    tags: tuple[str, ...] = ()
    rank_min: int | None = None
    rank_max: int | None = None
    state: StateFilter = "present"
    sort: str = "stable_id"
    limit: int = 50
    offset: int = 0
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class LoraRow:
    """One entry of the catalogue. The names are those of the JSON answers and of the table's columns.

    ``file_path`` is the absolute path as storable text (``library/paths.py`` turns it back into an OS path);
    ``rel_path`` is POSIX and relative to the root. ``weights`` are the layout's block weights in order (0..1), ``None``
    where nothing was measured. ``strength`` = sqrt(sum of raw_strength^2). ``pending`` says that the data has not been
    read yet; ``stale`` that the file could not be looked at in the last scan, so that the row shows an earlier state.
    Times are ISO 8601 in UTC. ``revision`` counts the contents this entry has had, from 1. ``pair_id`` is the other
    half of a LoRA that comes in two files. ``set_by_person`` names what is no longer as the files and folders say.
    """

    id: int
    stable_id: str
    file_path: str
    rel_path: str
    lora_name: str
    filename: str
    root_id: int
    base_model_code: str
    base_model_name: str | None
    category_code: str
    category_name: str | None
    role: str
    model_family: str | None
    architecture: str | None
    ambiguous_architectures: tuple[str, ...]
    architecture_evidence: str | None
    variant: str | None
    lora_type: str | None
    adapter_types: tuple[str, ...]
    dialect: str | None
    rank: int | None
    alpha: float | None
    block_layout: str | None
    block_count: int
    has_block_weights: bool
    pending: bool
    fallback: bool
    fallback_reason: str | None
    clip_contributor: bool
    clip_tensor_count: int
    tensor_count: int
    unmatched_tensor_count: int
    strength_kinds: tuple[str, ...]
    strength: float | None
    weights: tuple[float, ...] | None
    size_bytes: int
    content_hash: str | None
    hashes: FileHashes
    state: EntryState
    stale: bool
    stale_reason: str | None
    duplicate_of: str | None
    pair_id: str | None
    error: str | None
    error_code: str | None
    warnings: tuple[str, ...]
    title: str | None
    trigger_words: tuple[str, ...]
    revision: int
    last_modified: str
    created_at: str
    updated_at: str
    favourite: bool = False
    tags: tuple[str, ...] = ()
    set_by_person: tuple[Choosable, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A search that somebody wants to find again; ``query`` is the query string of the library page."""

    id: int
    name: str
    query: str
    created_at: str


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of results. ``total`` is exact up to 10,000 and an estimate beyond (``total_is_exact`` false).

    ``next_cursor`` fetches the page after this one, ``None`` on the last.
    """

    rows: tuple[LoraRow, ...]
    total: int
    total_is_exact: bool
    limit: int
    offset: int
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value of a facet and how many entries have it; ``value`` is ``None`` for entries without one."""

    value: str | None
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One thing that happened to an entry; ``before``/``after`` are paths for a move, hashes for a revision."""

    at: str
    kind: Literal["added", "revised", "moved", "missing", "returned"]
    before: str | None
    after: str | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PairLink:
    """The other half of a LoRA that comes in two files, and which half it is (``high-noise``, ``low-noise``)."""

    stable_id: str
    noise: str


@dataclass(frozen=True, slots=True)
class SidecarFacts:
    """What other programs and their users wrote about a LoRA beside its file. Claims, all of them, and plain text.

    ``trigger_words`` are in the writer's order, each as it is to be pasted. ``sha256`` is hex, of the whole file that
    the writer had before it.
    """

    trigger_words: tuple[str, ...] = ()
    base_model: str | None = None
    model_name: str | None = None
    model_id: int | None = None
    version_name: str | None = None
    version_id: int | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class SidecarFile:
    """A file that was read for :class:`Sidecar`; ``problem`` says why it could not be, in one sentence."""

    name: str
    program: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """All sidecars of an entry taken together; ``said_by`` names for each fact that is known the file it is from.

    ``sha256_matches`` says whether the claimed hash is the file's; ``None`` where either is not known.
    """

    facts: SidecarFacts
    said_by: Mapping[str, str]
    files: tuple[SidecarFile, ...]
    sha256_matches: bool | None = None


@dataclass(frozen=True, slots=True)
class LoraDetail:
    """All that the catalogue holds of one entry.

    ``blocks`` are in the layout's order; for a fallback they are the neutral ones (weight 1.0, no raw strength).
    ``duplicates`` are the other present entries with the same content; ``history`` is oldest first. ``module_facts``
    and ``energy_ranks`` are those of :class:`LoraRecord`, ``None`` also where an older version made the entry.
    """

    row: LoraRow
    blocks: tuple[BlockStrength, ...]
    metadata: Mapping[str, str]
    summary: MetadataSummary
    history: tuple[HistoryEvent, ...]
    duplicates: tuple[str, ...]
    module_facts: bytes | None = None
    energy_ranks: EnergyRanks | None = None
    pair: PairLink | None = None
    base_model_evidence: BaseEvidence | None = None
    sidecar: Sidecar | None = None
    preview: str | None = None  # the name of the image beside the file
    notes: str = ""


@dataclass(frozen=True, slots=True)
class CatalogSummary:
    """Counts over the whole catalogue. ``total_loras`` counts present entries, as do all others but ``missing``.

    ``last_scan`` is ISO 8601 UTC of the end of the last completed scan. ``pending`` entries await their data pass.
    """

    total_loras: int
    with_blocks: int
    last_scan: str | None
    duration_last_scan_sec: float | None
    missing: int
    failed: int
    duplicates: int
    fallbacks: int
    pending: int
    with_stable_id: int


@dataclass(frozen=True, slots=True)
class PathProblem:
    """A file, folder or root that could not be used, and why, in one sentence. ``path`` is storable text."""

    path: str
    reason: str
    code: str = "unreadable"


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What one run of the indexer did.

    ``discovered`` = ``added`` + ``updated`` + ``moved`` + ``unchanged`` + ``failed``: every file found counts once;
    ``failed`` are those that could not be read, new or old. ``missing`` are entries of the scanned roots whose file is
    not there, ``duplicates`` present entries with the content of an earlier one. ``stopped`` is true where
    ``should_stop`` ended the run early. ``roots_unavailable`` lists roots that were skipped; ``errors`` says why.
    """

    discovered: int = 0
    added: int = 0
    updated: int = 0
    moved: int = 0
    unchanged: int = 0
    missing: int = 0
    failed: int = 0
    duplicates: int = 0
    seconds: float = 0.0
    errors: tuple[PathProblem, ...] = ()
    stopped: bool = False
    roots_unavailable: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The object that ``lwb index --json`` prints."""
        return {
            "discovered": self.discovered,
            "added": self.added,
            "updated": self.updated,
            "moved": self.moved,
            "unchanged": self.unchanged,
            "missing": self.missing,
            "failed": self.failed,
            "duplicates": self.duplicates,
            "seconds": round(self.seconds, 3),
            "errors": [{"path": problem.path, "reason": problem.reason} for problem in self.errors],
        }


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """A past run as the catalogue remembers it; ``status`` is ``running`` also for one that was killed."""

    id: int
    started_at: str
    finished_at: str | None
    status: Literal["running", "done", "stopped", "failed"]
    roots: tuple[str, ...]
    summary: ScanSummary


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """Where an index run stands. ``done`` of ``total`` files of this phase; ``total`` is 0 while it is unknown.

    ``bytes_done``/``bytes_total`` are file bytes of this phase, from which a time of arrival can be told.
    ``counts`` carries the summary's counters as known so far. ``seconds`` since the run began.
    """

    phase: ScanPhase
    done: int
    total: int
    bytes_done: int = 0
    bytes_total: int = 0
    path: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One question of the smoke check. ``value`` is 0 on a healthy catalogue; ``detail`` names offenders or notes."""

    title: str
    value: int
    passed: bool
    detail: str | None = None
