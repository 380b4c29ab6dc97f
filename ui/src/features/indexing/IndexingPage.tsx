/** The index: what runs now, what the last scan found, and which files could not be read and why. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, type IndexStatus } from "@/api/client";
import { indexStatusQuery, useIndexStatus } from "@/api/indexStatus";
import { Button, Note, Page } from "@/components/ui";
import {
  countOf,
  formatAgo,
  formatBytes,
  formatCount,
  formatDuration,
  formatMoment,
  withoutPath,
} from "@/lib/format";
import { useNow, useTitle } from "@/lib/hooks";
import css from "./indexing.module.css";
import { PHASE_WORDS, share } from "./progress";

export function IndexingPage() {
  useTitle("Indexing");
  const { data: status, error, refetch } = useIndexStatus();
  return (
    <Page>
      <div className={css.page}>
        <h1>Indexing</h1>
        {status === undefined && error !== null && (
          <Note
            tone="bad"
            title="The server does not answer"
            actions={<Button onClick={() => void refetch()}>Try again</Button>}
          >
            <p>{error.message}</p>
          </Note>
        )}
        {status !== undefined && (
          <>
            <Run status={status} />
            <Library status={status} />
            <Found status={status} />
            <Errors status={status} />
          </>
        )}
      </div>
    </Page>
  );
}

function Run({ status }: { status: IndexStatus }) {
  const client = useQueryClient();
  const [full, setFull] = useState(false);
  const settled = () => client.invalidateQueries({ queryKey: indexStatusQuery.queryKey });
  const start = useMutation({ mutationFn: () => api.reindexAll(full), onSettled: settled });
  const stop = useMutation({ mutationFn: api.stopIndexing, onSettled: settled });
  const refused = start.error ?? stop.error;
  return (
    <section className={css.run} aria-label="Index run">
      {status.indexing ? <Progress status={status} /> : <LastScan status={status} />}
      <div className={css.actions}>
        {status.indexing ? (
          <Button disabled={stop.isPending} onClick={() => stop.mutate()}>
            Stop
          </Button>
        ) : (
          <>
            <Button kind="primary" disabled={start.isPending} onClick={() => start.mutate()}>
              Reindex
            </Button>
            <label className={css.full}>
              <input type="checkbox" checked={full} onChange={(event) => setFull(event.target.checked)} />
              read unchanged files again too
            </label>
          </>
        )}
      </div>
      {status.failure !== null && !status.indexing && (
        <Note tone="bad" title="The last run ended before its time">
          <p>{status.failure}</p>
        </Note>
      )}
      {refused !== null && (
        <Note tone="bad" title="The server refused">
          <p>{refused.message}</p>
        </Note>
      )}
    </section>
  );
}

function Progress({ status }: { status: IndexStatus }) {
  const done = share(status);
  const figures = [
    status.total !== null && `${formatCount(status.done)} of ${formatCount(status.total)} files`,
    status.bytes_done > 0 && `${formatBytes(status.bytes_done)} read`,
    status.elapsed_sec !== null && `${formatDuration(status.elapsed_sec)} so far`,
    status.eta_sec !== null && `about ${formatDuration(status.eta_sec)} to go`,
  ].filter(Boolean);
  return (
    <div className={css.progress}>
      <p className={css.phase} role="status">
        {PHASE_WORDS[status.phase]}
      </p>
      <progress className={css.meter} aria-label="Indexing" max={1} {...(done !== null && { value: done })} />
      <p className={css.figures}>{figures.join(" · ")}</p>
      <p className={`mono ${css.current}`}>{status.current ?? ""}</p>
    </div>
  );
}

function LastScan({ status }: { status: IndexStatus }) {
  const now = useNow(20_000);
  if (status.last_scan === null) return <p className={css.phase}>Nothing has been scanned yet</p>;
  return (
    <div className={css.progress}>
      <p className={css.phase}>
        Last scan <span title={formatMoment(status.last_scan)}>{formatAgo(status.last_scan, now)}</span>
      </p>
      <p className={css.figures}>
        {formatMoment(status.last_scan)}
        {status.duration_last_scan_sec !== null && `, took ${formatDuration(status.duration_last_scan_sec)}`}
      </p>
    </div>
  );
}

function Figures({ label, figures }: { label: string; figures: readonly (readonly [string, number])[] }) {
  return (
    <section aria-label={label}>
      <h2>{label}</h2>
      <dl className={css.counts}>
        {figures.map(([name, value]) => (
          <div key={name} data-zero={value === 0 || undefined}>
            <dt>{name}</dt>
            <dd>{formatCount(value)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Library({ status }: { status: IndexStatus }) {
  const figures = [
    ["LoRAs", status.total_loras],
    ["Blocks measured", status.with_blocks],
    ["Not read yet", status.pending],
    ["Unreadable", status.failed],
    ["Copies", status.duplicates],
    ["Missing", status.missing],
  ] as const;
  return <Figures label="The library" figures={figures} />;
}

/** What the run going on has found so far, or else the last one of this server. */
function Found({ status }: { status: IndexStatus }) {
  const { last_result: last, counts, indexing } = status;
  const found: Record<string, unknown> | null = indexing ? counts : last;
  const figures = COUNTERS.flatMap(([key, name]) => {
    const value = found?.[key];
    return typeof value === "number" ? [[name, value] as const] : [];
  });
  if (figures.length === 0) return null;
  return <Figures label={indexing ? "Found so far" : "The last run"} figures={figures} />;
}

const COUNTERS = [
  ["discovered", "Discovered"],
  ["added", "Added"],
  ["updated", "Updated"],
  ["moved", "Moved"],
  ["unchanged", "Unchanged"],
  ["missing", "Missing"],
  ["failed", "Failed"],
  ["duplicates", "Copies"],
] as const;

function Errors({ status }: { status: IndexStatus }) {
  const hidden = status.error_count - status.errors.length;
  return (
    <section aria-labelledby="errors">
      <h2 id="errors" className={css.errorsTitle}>
        Files that could not be read
      </h2>
      {status.errors.length === 0 ? (
        <p className="faint">None in the last run.</p>
      ) : (
        <ul className={css.errorList}>
          {status.errors.map(({ path, reason }) => (
            <li key={`${path}\n${reason}`}>
              <span className="mono">{path}</span>
              <span>{withoutPath(reason, path)}</span>
            </li>
          ))}
        </ul>
      )}
      <p className={css.errorsMore}>
        {hidden > 0 && `${countOf(hidden, "more is", "more are")} not listed here. `}
        <Link to="/" search={{ state: "failed" }}>
          Unreadable entries in the library
        </Link>
      </p>
    </section>
  );
}
