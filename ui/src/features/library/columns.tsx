/** The columns there are, and which of them a window has room for. */
import type { ReactNode } from "react";
import type { LoraRow } from "@/api/client";
import type { Registry } from "@/api/registry";
import { LayoutBadge } from "@/components/blocks/LayoutBadge";
import { formatBytes, formatMoment, formatStrength, spaced } from "@/lib/format";
import type { SortKey } from "@/lib/librarySearch";
import { Profile } from "./Profile";

const PROFILE_WIDTH = 176;
/** Pixels between two columns, and before the first and after the last. */
export const COLUMN_GAP = 16;

export interface Column {
  key: string;
  title: string;
  sort: SortKey;
  /** Pixels; the one column that grows takes at least these. */
  width: number;
  grows?: boolean;
  /** Figures stand at the right. */
  figures?: boolean;
  soft?: boolean;
  /** Width of the grey bar while the row is on its way, in pixels. */
  bone: number;
  /** The table draws the name itself: it is the link. */
  cell: (row: LoraRow, registry: Registry) => ReactNode;
}

export const COLUMNS: readonly Column[] = [
  {
    key: "id",
    title: "Id",
    sort: "stable_id",
    width: 122,
    soft: true,
    bone: 84,
    cell: (row) => <span className="mono">{row.stable_id}</span>,
  },
  { key: "name", title: "Name", sort: "filename", width: 140, grows: true, bone: 160, cell: () => null },
  {
    key: "base",
    title: "Base",
    sort: "base",
    width: 80,
    soft: true,
    bone: 44,
    cell: (row) => row.base_model_name ?? row.base_model_code,
  },
  {
    key: "category",
    title: "Category",
    sort: "category",
    width: 112,
    soft: true,
    bone: 60,
    cell: (row) => spaced(row.category_name ?? row.category_code),
  },
  {
    key: "architecture",
    title: "Architecture",
    sort: "architecture",
    width: 124,
    soft: true,
    bone: 70,
    cell: (row, registry) => registry.architecture(row.architecture)?.name ?? row.architecture ?? "–",
  },
  { key: "layout", title: "Layout", sort: "layout", width: 144, bone: 90, cell: layoutCell },
  {
    key: "adapter",
    title: "Adapter",
    sort: "adapter",
    width: 78,
    soft: true,
    bone: 34,
    cell: (row) => row.adapter_types.join(" + ") || "–",
  },
  {
    key: "role",
    title: "Role",
    sort: "role",
    width: 80,
    soft: true,
    bone: 44,
    cell: (row) => spaced(row.role),
  },
  {
    key: "rank",
    title: "Rank",
    sort: "rank",
    width: 38,
    figures: true,
    bone: 18,
    cell: (row) => row.rank ?? "–",
  },
  {
    key: "size",
    title: "Size",
    sort: "size",
    width: 62,
    figures: true,
    soft: true,
    bone: 46,
    cell: (row) => formatBytes(row.size_bytes),
  },
  {
    key: "modified",
    title: "Modified",
    sort: "modified",
    width: 112,
    soft: true,
    bone: 96,
    cell: (row) => (row.last_modified === null ? "–" : formatMoment(row.last_modified)),
  },
  {
    key: "added",
    title: "Added",
    sort: "added",
    width: 112,
    soft: true,
    bone: 96,
    cell: (row) => (row.created_at === null ? "–" : formatMoment(row.created_at)),
  },
  {
    key: "profile",
    title: "Blocks",
    sort: "strength",
    width: PROFILE_WIDTH,
    bone: PROFILE_WIDTH,
    cell: (row, registry) => <Profile row={row} registry={registry} width={PROFILE_WIDTH} height={22} />,
  },
  {
    key: "strength",
    title: "Strength",
    sort: "strength",
    width: 64,
    figures: true,
    bone: 40,
    cell: (row) => (row.strength === null ? "–" : formatStrength(row.strength)),
  },
];

/** Shown until a person chooses others. */
export const DEFAULT_COLUMNS: readonly string[] = [
  "id",
  "name",
  "base",
  "category",
  "layout",
  "adapter",
  "rank",
  "size",
  "profile",
];

/** Of the default columns, those that make room in a narrow window, first first. */
const GIVES_WAY = ["adapter", "category", "base", "layout", "rank", "size"];

function layoutCell(row: LoraRow, registry: Registry): ReactNode {
  const layout = registry.layout(row.block_layout);
  if (layout !== undefined) return <LayoutBadge layout={layout} colourOf={registry.colourOf} />;
  return <span className="faint">{row.block_layout ?? "–"}</span>;
}

const BY_KEY = new Map(COLUMNS.map((column) => [column.key, column]));

/** The least width of these columns side by side, in pixels. */
export function widthOf(columns: readonly Column[]): number {
  return columns.reduce((sum, { width }) => sum + width + COLUMN_GAP, COLUMN_GAP);
}

/** `grid-template-columns` for them. */
export function templateOf(columns: readonly Column[]): string {
  return columns.map(({ width, grows }) => (grows ? `minmax(${width}px, 1fr)` : `${width}px`)).join(" ");
}

/**
 * The columns to draw in `width` pixels (0: not known yet). Chosen ones are all drawn, the table then scrolls sideways;
 * without a choice columns give way until the rest fits.
 */
export function columnsFor(chosen: readonly string[] | null, width: number): readonly Column[] {
  const keys = chosen ?? DEFAULT_COLUMNS;
  let columns = keys.flatMap((key) => BY_KEY.get(key) ?? []);
  if (chosen !== null || width === 0) return columns;
  for (const key of GIVES_WAY) {
    if (widthOf(columns) <= width) break;
    columns = columns.filter((column) => column.key !== key);
  }
  return columns;
}
