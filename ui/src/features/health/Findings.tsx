/** Entries that contradict themselves, and copies side by side. Nothing here changes anything. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, type DuplicateGroup } from "@/api/client";
import { Button, Mark, Note } from "@/components/ui";
import { countOf, displayName, formatBytes, formatCount, formatMoment } from "@/lib/format";
import css from "./health.module.css";

const SHORT_HASH = 12;

export function useContradictions(offset: number) {
  return useQuery({
    queryKey: ["lora", "contradictions", offset],
    queryFn: ({ signal }) => api.contradictions(offset, signal),
    placeholderData: keepPreviousData,
  });
}

export function Contradictions() {
  const [offset, setOffset] = useState(0);
  const query = useContradictions(offset);
  const count = query.data?.total;
  return (
    <section aria-labelledby="contradictions">
      <h2 id="contradictions">Contradictions</h2>
      <p className={css.lead}>
        {count === 0
          ? "Tensors, metadata, names and folders agree everywhere."
          : "What these files hold is not what their folder, name or metadata says. The tensors decide how blocks are read."}
      </p>
      <Fault error={query.error} />
      {query.data !== undefined && query.data.total > 0 && (
        <>
          <ul className={css.rows}>
            {query.data.results.map((found) => (
              <li key={found.stable_id}>
                <Link to="/lora/$stableId" params={{ stableId: found.stable_id }} className="mono">
                  {found.stable_id}
                </Link>
                <span>
                  {displayName(found.filename)}
                  {found.statements.map((statement) => (
                    <small key={statement}>{statement}</small>
                  ))}
                </span>
              </li>
            ))}
          </ul>
          <Steps
            offset={offset}
            shown={query.data.count}
            total={query.data.total}
            size={50}
            onStep={setOffset}
          />
          <p className={css.more}>
            <Link to="/" search={{ state: "contradiction" }}>
              {countOf(query.data.total, "contradiction", "contradictions")} in the library
            </Link>
          </p>
        </>
      )}
    </section>
  );
}

export function Duplicates({ count }: { count: number }) {
  const [offset, setOffset] = useState(0);
  const query = useQuery({
    queryKey: ["lora", "duplicates", offset],
    queryFn: ({ signal }) => api.duplicates(offset, signal),
    enabled: count > 0,
    placeholderData: keepPreviousData,
  });
  return (
    <section aria-labelledby="duplicates">
      <h2 id="duplicates">Copies</h2>
      <p className={css.lead}>
        {count === 0
          ? "No two files have the same content."
          : "Files with the same tensors, side by side; the one that came first stands in front. Their metadata may differ."}
      </p>
      <Fault error={query.error} />
      {count > 0 && query.data !== undefined && (
        <>
          <div className={css.groups}>
            {query.data.groups.map((group) => (
              <Copies key={group.content_hash} group={group} />
            ))}
          </div>
          <Steps
            offset={offset}
            shown={query.data.count}
            total={query.data.total}
            size={20}
            onStep={setOffset}
          />
          <p className={css.more}>
            <Link to="/" search={{ state: "duplicate" }}>
              {countOf(count, "copy", "copies")} in the library
            </Link>
          </p>
        </>
      )}
    </section>
  );
}

function Copies({ group }: { group: DuplicateGroup }) {
  const [first] = group.entries;
  if (first === undefined) return null;
  return (
    <article className={css.group} aria-label={`Copies of ${displayName(first.filename)}`}>
      <p className={css.hash}>
        {countOf(group.entries.length, "file", "files")} ·{" "}
        <span className="mono" title={group.content_hash}>
          {group.content_hash.slice(0, SHORT_HASH)}
        </span>
      </p>
      <ul>
        {group.entries.map((entry) => (
          <li key={entry.stable_id}>
            <p>
              <Link to="/lora/$stableId" params={{ stableId: entry.stable_id }} className="mono">
                {entry.stable_id}
              </Link>
              <Mark>{entry.duplicate_of === null ? "first" : "copy"}</Mark>
            </p>
            <p>{displayName(entry.filename)}</p>
            <p className={css.path}>{entry.file_path}</p>
            <p className="faint">
              {formatBytes(entry.size_bytes)}
              {entry.last_modified !== null && `, changed ${formatMoment(entry.last_modified)}`}
            </p>
          </li>
        ))}
      </ul>
    </article>
  );
}

interface StepsProps {
  offset: number;
  shown: number;
  total: number;
  size: number;
  onStep: (offset: number) => void;
}

function Steps({ offset, shown, total, size, onStep }: StepsProps) {
  if (total <= size) return null;
  return (
    <p className={css.steps}>
      <Button kind="quiet" disabled={offset === 0} onClick={() => onStep(Math.max(0, offset - size))}>
        ← Before
      </Button>
      <span className="faint">
        {formatCount(offset + 1)} to {formatCount(offset + shown)} of {formatCount(total)}
      </span>
      <Button kind="quiet" disabled={offset + shown >= total} onClick={() => onStep(offset + size)}>
        Further →
      </Button>
    </p>
  );
}

function Fault({ error }: { error: Error | null }) {
  return error === null ? null : (
    <Note tone="bad" title="They could not be listed">
      <p>{error.message}</p>
    </Note>
  );
}
