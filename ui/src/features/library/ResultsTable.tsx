/** The table of results: a grid of fixed rows of which only those in sight exist. */
import { Link } from "@tanstack/react-router";
import type { Virtualizer } from "@tanstack/react-virtual";
import type { KeyboardEvent, ReactNode, RefObject } from "react";
import type { LoraRow } from "@/api/client";
import { type Registry, useRegistry } from "@/api/registry";
import { EntryMarks } from "@/components/blocks/EntryMarks";
import { LayoutBadge } from "@/components/blocks/LayoutBadge";
import { Sparkline } from "@/components/blocks/Sparkline";
import { Bone } from "@/components/ui";
import { displayName, formatBytes, spaced } from "@/lib/format";
import { type LibrarySearch, nextSort, type Sort, type SortKey } from "@/lib/librarySearch";
import css from "./library.module.css";
import type { Results } from "./useResults";

/** Pixels; `--row` in tokens.css is the same. */
export const ROW_HEIGHT = 34;
export const HEAD_HEIGHT = 30;
const PROFILE_WIDTH = 176;

interface Column {
  key: string;
  title: string;
  sort?: SortKey;
  /** Width of the grey bar while the row is on its way, in pixels. */
  bone: number;
  cell: (row: LoraRow, registry: Registry) => ReactNode;
}

const COLUMNS: readonly Column[] = [
  {
    key: "id",
    title: "Id",
    sort: "stable_id",
    bone: 84,
    cell: (row) => <span className="mono">{row.stable_id}</span>,
  },
  { key: "name", title: "Name", sort: "filename", bone: 180, cell: () => null },
  {
    key: "base",
    title: "Base",
    sort: "base",
    bone: 44,
    cell: (row) => row.base_model_name ?? row.base_model_code,
  },
  {
    key: "category",
    title: "Category",
    sort: "category",
    bone: 60,
    cell: (row) => spaced(row.category_name ?? row.category_code),
  },
  { key: "layout", title: "Layout", sort: "layout", bone: 90, cell: layoutCell },
  { key: "adapter", title: "Adapter", bone: 34, cell: (row) => row.adapter_types.join(" + ") || "–" },
  { key: "rank", title: "Rank", sort: "rank", bone: 18, cell: (row) => row.rank ?? "–" },
  { key: "size", title: "Size", sort: "size", bone: 46, cell: (row) => formatBytes(row.size_bytes) },
  { key: "profile", title: "Blocks", sort: "strength", bone: PROFILE_WIDTH, cell: profileCell },
];

function layoutCell(row: LoraRow, registry: Registry): ReactNode {
  const layout = registry.layout(row.block_layout);
  if (layout !== undefined) return <LayoutBadge layout={layout} colourOf={registry.colourOf} />;
  return <span className="faint">{row.block_layout ?? "–"}</span>;
}

function profileCell(row: LoraRow, registry: Registry): ReactNode {
  if (row.weights === null || row.fallback)
    return <span className={css.noProfile}>{row.pending ? "not read yet" : "not measured"}</span>;
  return (
    <>
      <Sparkline
        groups={registry.layout(row.block_layout)?.groups}
        weights={row.weights}
        colourOf={registry.colourOf}
        width={PROFILE_WIDTH}
        height={22}
      />
      <span className="visually-hidden">{row.weights.length} blocks</span>
    </>
  );
}

export function rowId(index: number): string {
  return `row-${index}`;
}

interface ResultsTableProps {
  search: LibrarySearch;
  results: Results;
  virtualizer: Virtualizer<HTMLDivElement, Element>;
  scroller: RefObject<HTMLDivElement | null>;
  active: number;
  onSort: (sort: Sort) => void;
  onListKey: (event: KeyboardEvent) => void;
}

export function ResultsTable(props: ResultsTableProps) {
  const { search, results, virtualizer, scroller, active, onSort, onListKey } = props;
  const registry = useRegistry();
  const items = virtualizer.getVirtualItems();
  return (
    <div
      ref={scroller}
      className={css.grid}
      role="grid"
      tabIndex={0}
      aria-label="LoRAs"
      aria-rowcount={results.total + 1}
      aria-busy={results.isLoading || results.isStale}
      aria-activedescendant={items.some(({ index }) => index === active) ? rowId(active) : undefined}
      onKeyDown={onListKey}
      data-stale={results.isStale || undefined}
    >
      <div role="rowgroup" className={css.head}>
        <div role="row" aria-rowindex={1} className={css.columns}>
          {COLUMNS.map((column) => (
            <ColumnHead key={column.key} column={column} sort={search.sort ?? "stable_id"} onSort={onSort} />
          ))}
        </div>
      </div>
      <div role="rowgroup" className={css.rows} style={{ height: virtualizer.getTotalSize() - HEAD_HEIGHT }}>
        {items.map(({ index, start }) => (
          <Row
            key={index}
            index={index}
            top={start - HEAD_HEIGHT}
            row={results.row(index)}
            isActive={index === active}
            search={search}
            registry={registry}
          />
        ))}
      </div>
    </div>
  );
}

function ColumnHead({ column, sort, onSort }: { column: Column; sort: Sort; onSort: (sort: Sort) => void }) {
  const { key, title, sort: sortKey } = column;
  const direction = sort === sortKey ? "ascending" : sort === `-${sortKey}` ? "descending" : undefined;
  return (
    <div role="columnheader" data-column={key} aria-sort={sortKey && (direction ?? "none")}>
      {sortKey === undefined ? (
        title
      ) : (
        <button type="button" onClick={() => onSort(nextSort(sort, sortKey))}>
          {title}
          {direction && (
            <svg width="7" height="6" viewBox="0 0 7 6" aria-hidden="true">
              <path
                d={direction === "ascending" ? "M0 5.5 3.5.5 7 5.5z" : "M0 .5 3.5 5.5 7 .5z"}
                fill="currentColor"
              />
            </svg>
          )}
        </button>
      )}
    </div>
  );
}

interface RowProps {
  index: number;
  top: number;
  row: LoraRow | undefined;
  isActive: boolean;
  search: LibrarySearch;
  registry: Registry;
}

function Row({ index, top, row, isActive, search, registry }: RowProps) {
  return (
    <div
      role="row"
      id={rowId(index)}
      aria-rowindex={index + 2}
      aria-selected={isActive}
      className={`${css.columns} ${css.row}`}
      style={{ transform: `translateY(${top}px)` }}
    >
      {COLUMNS.map((column) => (
        <div key={column.key} role="gridcell" data-column={column.key}>
          {row === undefined ? (
            <Bone width={column.bone} />
          ) : column.key === "name" ? (
            <>
              <Link
                to="/lora/$stableId"
                params={{ stableId: row.stable_id }}
                search={{ ...search, at: index }}
                tabIndex={-1}
                title={row.file_path}
              >
                {displayName(row.filename)}
              </Link>
              <span className={css.marks}>
                <EntryMarks entry={row} brief />
              </span>
            </>
          ) : (
            column.cell(row, registry)
          )}
        </div>
      ))}
    </div>
  );
}
