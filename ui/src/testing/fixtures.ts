/** A small imaginary registry and library. The names are made up: the interface must not know real ones. */
import type { BlocksAnswer, IndexStatus, Layout, LoraDetail, LoraRow, SearchAnswer } from "@/api/client";
import type { Profile, ProfilesAnswer } from "@/api/profiles";

export function aLayout(id: string, groups: [key: string, abbreviation: string, count: number][]): Layout {
  let start = 0;
  const all = groups.map(([key, abbreviation, count]) => {
    const group = { key, title: `${key} blocks`, abbreviation, start, count };
    start += count;
    return group;
  });
  return {
    id,
    title: `Layout ${id}`,
    family: "imaginary",
    kind: "transformer",
    block_count: start,
    legacy: false,
    part_of: null,
    encoders: [],
    architectures: ["imaginary1"],
    groups: all,
    blocks: all.flatMap((group) =>
      Array.from({ length: group.count }, (_, index) => ({
        block_index: group.start + index,
        label: `${group.abbreviation}${String(index).padStart(2, "0")}`,
        group: group.key,
        group_index: index,
      })),
    ),
  };
}

export const TWO_STACKS = aLayout("imaginary_two_5", [
  ["upper", "U", 2],
  ["lower", "L", 3],
]);

export function aRow(change: Partial<LoraRow> = {}): LoraRow {
  return {
    id: 1,
    stable_id: "IMG-CLT-001",
    file_path: "/loras/Imaginary/08 - Clothing/coat.safetensors",
    rel_path: "Imaginary/08 - Clothing/coat.safetensors",
    lora_name: "Imaginary/08 - Clothing/coat.safetensors",
    filename: "coat.safetensors",
    root_id: 1,
    base_model_code: "IMG",
    base_model_name: "Imaginary",
    category_code: "CLT",
    category_name: "Clothing",
    role: "clothing",
    model_family: "imaginary",
    architecture: "imaginary1",
    variant: null,
    lora_type: "lora",
    adapter_types: ["lora"],
    rank: 16,
    alpha: 16,
    block_layout: TWO_STACKS.id,
    block_count: 5,
    has_block_weights: true,
    pending: false,
    fallback: false,
    fallback_reason: null,
    clip_contributor: false,
    clip_tensor_count: 0,
    strength: 1.5,
    weights: [0.5, 1, 0.25, 0, 0.75],
    size_bytes: 87_654_321,
    content_hash: "5f".repeat(32),
    state: "present",
    stale: false,
    stale_reason: null,
    duplicate_of: null,
    pair_id: null,
    favourite: false,
    tags: [],
    set_by_person: [],
    error: null,
    error_code: null,
    warnings: [],
    title: null,
    trigger_words: [],
    revision: 1,
    last_modified: "2026-05-04T10:11:12Z",
    created_at: "2026-05-05T08:00:00Z",
    updated_at: "2026-05-05T08:00:00Z",
    ...change,
  };
}

/** Blocks of `aRow`: D00.. measured except the fourth, which the file does not hold. */
export function someBlocks(change: Partial<BlocksAnswer> = {}): BlocksAnswer {
  const weights = [0.5, 1, 0.25, 0, 0.75];
  return {
    stable_id: "IMG-CLT-001",
    has_block_weights: true,
    block_layout: TWO_STACKS.id,
    block_count: 5,
    fallback: false,
    fallback_reason: null,
    blocks: TWO_STACKS.blocks.map(({ block_index, label, group }) => ({
      block_index,
      label,
      group,
      weight: weights[block_index] ?? 0,
      raw_strength: (weights[block_index] ?? 0) * 2,
      present: block_index !== 3,
      rank: 16,
      alpha: 16,
      parameters: 98_304,
      rms_change: (weights[block_index] ?? 0) * 0.0004,
      stable_rank: 2.25,
      energy_rank: { "90": 6, "95": 9, "99": 15 },
      singular_values: [1.5, 0.75],
      modules: 2,
    })),
    validation_warnings: [],
    ...change,
  };
}

export function aDetail(change: Partial<LoraDetail> = {}): LoraDetail {
  return {
    ...aRow(),
    hashes: { blake3: null, sha256: null, autov3: null },
    ambiguous_architectures: [],
    architecture_evidence: "tensors",
    base_model_evidence: "folder",
    pair: null,
    preview: null,
    sidecar: null,
    dialect: "kohya",
    tensor_count: 114,
    unmatched_tensor_count: 0,
    strength_kinds: ["delta"],
    parameters: 393_216,
    energy_rank: { "90": 6, "95": 9, "99": 15 },
    blocks: someBlocks().blocks,
    validation_warnings: [],
    metadata: { ss_network_dim: "16" },
    notes: "",
    summary: {
      base_model: null,
      base_checkpoint: null,
      title: null,
      author: null,
      trigger_words: ["coat"],
      tags: [["velvet", 42]],
      declared_rank: 16,
      declared_alpha: 16,
      resolution: [1024, 1024],
      date: null,
      trainer: null,
      steps: null,
      epochs: null,
      license: null,
      description: null,
    },
    history: [{ at: "2026-05-05T08:00:00Z", kind: "added", before: null, after: null, note: null }],
    duplicates: [],
    ...change,
  };
}

export function aPage(rows: LoraRow[], change: Partial<SearchAnswer> = {}): SearchAnswer {
  return {
    results: rows,
    count: rows.length,
    total: rows.length,
    total_is_exact: true,
    limit: 100,
    offset: 0,
    next_cursor: null,
    facets: { base: [{ value: "IMG", label: "Imaginary", count: rows.length }] },
    ...change,
  };
}

export function aStatus(change: Partial<IndexStatus> = {}): IndexStatus {
  return {
    indexing: false,
    job_id: null,
    phase: "idle",
    done: 0,
    total: null,
    bytes_done: 0,
    bytes_total: null,
    current: null,
    elapsed_sec: null,
    eta_sec: null,
    counts: {},
    error_count: 0,
    errors: [],
    failure: null,
    last_result: null,
    last_scan: "2026-05-05T08:00:00Z",
    total_loras: 1,
    with_blocks: 1,
    pending: 0,
    missing: 0,
    failed: 0,
    duplicates: 0,
    duration_last_scan_sec: 41.5,
    ...change,
  };
}

export function aProfile(change: Partial<Profile> = {}): Profile {
  return {
    id: 7,
    profile_name: "soft",
    block_layout: TWO_STACKS.id,
    block_weights: [1, 0.5, 1, 1, 0],
    created_at: "2026-05-05T08:00:00Z",
    updated_at: "2026-05-06T08:00:00Z",
    fits: true,
    misfit: null,
    ...change,
  };
}

export function someProfiles(profiles: Profile[] = []): ProfilesAnswer {
  return {
    stable_id: "IMG-CLT-001",
    block_layout: TWO_STACKS.id,
    block_count: 5,
    lowest: -10,
    highest: 10,
    profiles,
  };
}
