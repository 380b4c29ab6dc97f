/** The table of results: a grid of fixed rows of which only those in sight exist. */
import { Link } from "@tanstack/react-router";
import type { Virtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, memo, type RefObject, useLayoutEffect, useMemo, useState } from "react";
import type { LoraRow } from "@/api/client";
import { type Registry, useRegistry } from "@/api/registry";
import { EntryMarks } from "@/components/blocks/EntryMarks";
import { Bone } from "@/components/ui";
import { displayName } from "@/lib/format";
import { type LibrarySearch, nextSort, type Sort } from "@/lib/librarySearch";
import type { ChosenColumns } from "./columnSettings";
import { type Column, columnsFor, templateOf, widthOf } from "./columns";
import css from "./library.module.css";
import type { Selection } from "./selection";
import type { Results } from "./useResults";

/** Pixels; `--row` in tokens.css is the same. */
export const ROW_HEIGHT = 34;
export const HEAD_HEIGHT = 30;
export function rowId(index: number): string {
  return `row-${index}`;
}

interface ResultsTableProps {
  search: LibrarySearch;
  results: Results;
  virtualizer: Virtualizer<HTMLDivElement, Element>;
  scroller: RefObject<HTMLDivElement | null>;
  active: number;
  chosen: ChosenColumns;
  selection: Selection;
  /** `extend`: all rows from the active one to this. */
  onSelect: (index: number, extend: boolean) => void;
  onSort: (sort: Sort) => void;
  onListKey: (event: KeyboardEvent) => void;
}

export function ResultsTable(props: ResultsTableProps) {
  const { search, results, virtualizer, scroller, active, chosen, selection } = props;
  const registry = useRegistry();
  const items = virtualizer.getVirtualItems();
  const width = useInnerWidth(scroller);
  const columns = useMemo(() => columnsFor(chosen, width), [chosen, width]);
  const template = { gridTemplateColumns: templateOf(columns), minWidth: widthOf(columns) };
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
      aria-multiselectable="true"
      onKeyDown={props.onListKey}
      data-stale={results.isStale || undefined}
    >
      <div role="rowgroup" className={css.head} style={{ minWidth: template.minWidth }}>
        <div role="row" aria-rowindex={1} className={css.columns} style={template}>
          {columns.map((column) => (
            <ColumnHead
              key={column.key}
              column={column}
              sort={search.sort ?? "stable_id"}
              onSort={props.onSort}
            />
          ))}
        </div>
      </div>
      <div
        role="rowgroup"
        className={css.rows}
        style={{ height: virtualizer.getTotalSize() - HEAD_HEIGHT, minWidth: template.minWidth }}
      >
        {items.map(({ index, start }) => {
          const row = results.row(index);
          return (
            <Row
              key={index}
              index={index}
              top={start - HEAD_HEIGHT}
              row={row}
              isActive={index === active}
              isSelected={row !== undefined && selection.has(row.stable_id)}
              columns={columns}
              template={template.gridTemplateColumns}
              search={search}
              registry={registry}
              onSelect={props.onSelect}
            />
          );
        })}
      </div>
    </div>
  );
}

function ColumnHead({ column, sort, onSort }: { column: Column; sort: Sort; onSort: (sort: Sort) => void }) {
  const { title, sort: sortKey, figures } = column;
  const direction = sort === sortKey ? "ascending" : sort === `-${sortKey}` ? "descending" : undefined;
  return (
    <div role="columnheader" data-figures={figures} aria-sort={direction ?? "none"}>
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
    </div>
  );
}

interface RowProps {
  index: number;
  top: number;
  row: LoraRow | undefined;
  isActive: boolean;
  isSelected: boolean;
  columns: readonly Column[];
  template: string;
  search: LibrarySearch;
  registry: Registry;
  onSelect: (index: number, extend: boolean) => void;
}

const Row = memo(function Row(props: RowProps) {
  const { index, top, row, isActive, isSelected, columns, template, search, registry, onSelect } = props;
  return (
    <div
      role="row"
      id={rowId(index)}
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      data-active={isActive || undefined}
      className={`${css.columns} ${css.row}`}
      style={{ transform: `translateY(${top}px)`, gridTemplateColumns: template }}
    >
      {columns.map((column, place) => (
        <div
          key={column.key}
          role="gridcell"
          data-column={column.key}
          data-figures={column.figures}
          data-soft={column.soft}
        >
          {place === 0 && row !== undefined && (
            <input
              type="checkbox"
              className={css.check}
              tabIndex={-1}
              aria-label={`Select ${row.stable_id}`}
              checked={isSelected}
              // The focus stays with the list, and with it the keys.
              onMouseDown={(event) => event.preventDefault()}
              onChange={(event) => onSelect(index, (event.nativeEvent as MouseEvent).shiftKey)}
            />
          )}
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
});

/** The width inside an element's scroll bar, 0 before it is known. */
function useInnerWidth(ref: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const measure = () => setWidth(element.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return width;
}
