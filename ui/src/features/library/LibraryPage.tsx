/** The library: search, filters and the table of entries. All of its state stands in the address bar. */
import { getRouteApi } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useCallback, useEffect, useRef, useState } from "react";
import { useIndexStatus } from "@/api/indexStatus";
import { Button, Empty, Note } from "@/components/ui";
import { formatCount } from "@/lib/format";
import { useTitle } from "@/lib/hooks";
import type { LibrarySearch } from "@/lib/librarySearch";
import { recallPosition, rememberPosition } from "@/lib/listPosition";
import { ColumnMenu } from "./ColumnMenu";
import { useColumns } from "./columnSettings";
import { Filters } from "./Filters";
import css from "./library.module.css";
import { HEAD_HEIGHT, ResultsTable, ROW_HEIGHT } from "./ResultsTable";
import { SearchField } from "./SearchField";
import { SelectionBar } from "./SelectionBar";
import { addSelected, clearSelection, toggleSelected, useSelection } from "./selection";
import { type FacetCounts, useFacets, useResults } from "./useResults";

const route = getRouteApi("/");

export function LibraryPage() {
  useTitle("Library");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [filtersOpen, setFiltersOpen] = useState(false);
  const change = (part: Record<string, string | undefined>) =>
    void navigate({ search: (before) => ({ ...before, ...part }) as LibrarySearch, replace: true });
  const [columns, setColumns] = useColumns();
  const counts = useFacets(search);
  const list = useList(search, counts);
  const { results } = list;
  const narrowed = Object.keys(search).some((key) => key !== "sort");
  const clear = () => void navigate({ search: search.sort ? { sort: search.sort } : {} });

  return (
    <main className={css.library} data-filters={filtersOpen ? "open" : undefined}>
      <h1 className="visually-hidden">Library</h1>
      <Filters search={search} facets={counts.facets} onChange={change} />
      <div className={css.main}>
        <div className={css.tools}>
          <SearchField
            value={search.q ?? ""}
            onSearch={(q) => change({ q: q || undefined })}
            onListKey={list.onKey}
          />
          <Button
            className={css.filtersButton ?? ""}
            aria-expanded={filtersOpen}
            onClick={() => setFiltersOpen(!filtersOpen)}
          >
            Filters
          </Button>
          {narrowed && (
            <Button kind="quiet" onClick={clear}>
              Clear
            </Button>
          )}
          <ColumnMenu columns={columns} onChange={setColumns} />
          <p className={css.total} role="status">
            {!results.isLoading && (results.error === null || results.total > 0) && (
              <>
                <b>
                  {results.totalIsExact ? "" : "about "}
                  {formatCount(results.total)}
                </b>{" "}
                {results.total === 1 ? "LoRA" : "LoRAs"}
              </>
            )}
          </p>
        </div>
        {results.error !== null && (
          <div className={css.message}>
            <Note
              tone="bad"
              title="The library could not be read"
              actions={<Button onClick={results.retry}>Try again</Button>}
            >
              <p>{results.error.message}</p>
            </Note>
          </div>
        )}
        {results.isLoading || results.total > 0 ? (
          <ResultsTable
            search={search}
            results={results}
            virtualizer={list.virtualizer}
            scroller={list.scroller}
            active={list.active}
            chosen={columns}
            selection={list.selection}
            onSelect={list.onSelect}
            onSort={(sort) => change({ sort: sort === "stable_id" ? undefined : sort })}
            onListKey={list.onKey}
          />
        ) : (
          results.error === null && <NothingHere narrowed={narrowed} onClear={clear} />
        )}
        <SelectionBar />
      </div>
    </main>
  );
}

/** Rows shown as bones before the first answer. */
const BONES = 40;

/** The virtual list with its active row: what the keyboard moves. */
function useList(search: LibrarySearch, counts: FacetCounts) {
  const listKey = JSON.stringify(search);
  const navigate = route.useNavigate();
  const scroller = useRef<HTMLDivElement>(null);
  const shown = useRef(listKey);
  const [active, setActive] = useState(() => recallPosition(listKey).active);
  const [range, setRange] = useState({ first: 0, last: 0 });
  const results = useResults(search, range.first, range.last, counts.isStale ? undefined : counts.facets);
  const selection = useSelection();
  const count = results.isLoading ? BONES : results.total;

  const virtualizer = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 10,
    paddingStart: HEAD_HEIGHT,
    scrollPaddingStart: HEAD_HEIGHT,
    initialOffset: () => recallPosition(listKey).offset,
    onChange: (instance) => {
      const first = instance.range?.startIndex ?? 0;
      const last = instance.range?.endIndex ?? 0;
      setRange((before) => (before.first === first && before.last === last ? before : { first, last }));
      if (instance.scrollOffset !== null) rememberPosition(shown.current, { offset: instance.scrollOffset });
    },
  });

  // Another search starts at its top; the one first shown keeps the place it was left at.
  useEffect(() => {
    if (shown.current === listKey) return;
    shown.current = listKey;
    setActive(0);
    scroller.current?.scrollTo({ top: 0 });
  }, [listKey]);

  const move = (to: number) => {
    if (count === 0) return;
    const next = Math.min(Math.max(to, 0), count - 1);
    setActive(next);
    rememberPosition(listKey, { active: next });
    virtualizer.scrollToIndex(next, { align: "auto" });
  };
  const page = Math.max(
    1,
    Math.floor(((scroller.current?.clientHeight ?? 0) - HEAD_HEIGHT) / ROW_HEIGHT) - 1,
  );
  // Through a ref, so that rows need not be drawn again when only the place among them changed.
  const latest = useRef({ results, active });
  latest.current = { results, active };
  const selectRows = (from: number, to: number) => {
    const ids = Array.from(
      { length: Math.abs(to - from) + 1 },
      (_, step) => Math.min(from, to) + step,
    ).flatMap((index) => latest.current.results.row(index)?.stable_id ?? []);
    addSelected(ids);
  };
  const select = (index: number, extend: boolean) => {
    const id = latest.current.results.row(index)?.stable_id;
    if (extend) selectRows(latest.current.active, index);
    else if (id !== undefined) toggleSelected(id);
    setActive(index);
  };
  const latestSelect = useRef(select);
  latestSelect.current = select;
  const onSelect = useCallback((index: number, extend: boolean) => latestSelect.current(index, extend), []);
  const isField = (event: KeyboardEvent) =>
    event.target instanceof HTMLInputElement && event.target.type === "search";

  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps: Record<string, number> = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      ...(!isField(event) && { Home: 0, End: count - 1, j: active + 1, k: active - 1 }),
    };
    const to = steps[event.key];
    if (to !== undefined) {
      event.preventDefault();
      if (event.shiftKey && event.key.startsWith("Arrow"))
        selectRows(active, Math.min(Math.max(to, 0), count - 1));
      move(to);
    } else if (event.key === "x" && !isField(event)) {
      select(active, false);
    } else if (event.key === "Escape") {
      if (isField(event)) scroller.current?.focus();
      else clearSelection();
    } else if (event.key === "Enter" && !(event.target instanceof HTMLButtonElement)) {
      const row = results.row(active);
      if (row === undefined || results.isStale) return;
      event.preventDefault();
      void navigate({
        to: "/lora/$stableId",
        params: { stableId: row.stable_id },
        search: { ...search, at: active },
      });
    }
  };

  return { results, virtualizer, scroller, active, selection, onSelect, onKey };
}

function NothingHere({ narrowed, onClear }: { narrowed: boolean; onClear: () => void }) {
  const status = useIndexStatus().data;
  if (narrowed) {
    return (
      <Empty title="Nothing matches">
        <p>
          No entry has this text and these filters together. The search is literal: every character counts as
          it stands.
        </p>
        <Button onClick={onClear}>Clear search and filters</Button>
      </Empty>
    );
  }
  if (status?.indexing) {
    return (
      <Empty title="Reading your folders">
        <p>The first LoRAs will appear here as soon as they are read.</p>
      </Empty>
    );
  }
  return (
    <Empty title="The library is empty">
      <p>Name the folder that holds your LoRAs when you start the server:</p>
      <p>
        <code>lwb serve /path/to/loras</code>
      </p>
    </Empty>
  );
}
