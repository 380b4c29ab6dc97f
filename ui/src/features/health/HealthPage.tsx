/** Whether the catalogue is sound, and which entries a person should look at. */
import { queryOptions, type UseQueryResult, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, type ChecksAnswer, type IndexStatus } from "@/api/client";
import { useIndexStatus } from "@/api/indexStatus";
import { Bone, Button, Mark, Note, Page } from "@/components/ui";
import { countOf, formatCount } from "@/lib/format";
import { useTitle } from "@/lib/hooks";
import { Contradictions, Duplicates, useContradictions } from "./Findings";
import css from "./health.module.css";
import { Missing, Unreadable } from "./Repairs";

const WHILE_FRESH_MS = 5 * 60_000; // asking reads the whole database: seconds for a large library

const checksQuery = queryOptions({
  queryKey: ["checks"],
  queryFn: ({ signal }) => api.checks(signal),
  staleTime: WHILE_FRESH_MS,
});

export function HealthPage() {
  useTitle("Health");
  const status = useIndexStatus();
  const checks = useQuery(checksQuery);
  const contradictions = useContradictions(0).data?.total;
  return (
    <Page>
      <div className={css.page} aria-busy={checks.isFetching || status.isPending}>
        <h1>Health</h1>
        <Counts status={status.data} checks={checks.data} contradictions={contradictions} />
        {status.error !== null && (
          <Note tone="bad" title="The library could not be read">
            <p>{status.error.message}</p>
          </Note>
        )}
        {status.data !== undefined && (
          <>
            <Unreadable count={status.data.failed} />
            <Missing count={status.data.missing} />
            <Contradictions />
            <Duplicates count={status.data.duplicates} />
          </>
        )}
        <Checks query={checks} />
      </div>
    </Page>
  );
}

interface CountsProps {
  status: IndexStatus | undefined;
  checks: ChecksAnswer | undefined;
  contradictions: number | undefined;
}

/** The counts, each leading to the entries behind it. */
function Counts({ status, checks, contradictions }: CountsProps) {
  const figures = [
    ["Unreadable", status?.failed, "#unreadable"],
    ["Missing", status?.missing, "#missing"],
    ["Contradictions", contradictions, "#contradictions"],
    ["Copies", status?.duplicates, "#duplicates"],
    ["Failed checks", checks?.checks.filter(({ passed }) => !passed).length, "#checks"],
  ] as const;
  return (
    <ul className={css.counts} aria-label="What was found">
      {figures.map(([name, value, target]) => (
        <li key={name} data-zero={value === 0 || undefined}>
          <a href={target}>
            <span>{name}</span>
            <b>{value === undefined ? <Bone width={24} /> : formatCount(value)}</b>
          </a>
        </li>
      ))}
    </ul>
  );
}

function Checks({ query }: { query: UseQueryResult<ChecksAnswer> }) {
  const checks = query.data?.checks ?? [];
  const failed = checks.filter(({ passed }) => !passed);
  const ordered = [...failed, ...checks.filter(({ passed }) => passed)];
  return (
    <section aria-labelledby="checks">
      <div className={css.head}>
        <h2 id="checks">The catalogue itself</h2>
        <Button onClick={() => void query.refetch()} disabled={query.isFetching}>
          {query.isFetching ? "Checking…" : "Check again"}
        </Button>
      </div>
      <p className={css.lead} role="status">
        {query.data === undefined
          ? query.error === null && "Asking; a large library takes a while."
          : failed.length === 0
            ? `All ${countOf(checks.length, "check", "checks")} passed. The same questions as the command lwb check asks.`
            : `${countOf(failed.length, "check", "checks")} of ${checks.length} failed.`}
      </p>
      {query.error !== null && (
        <Note tone="bad" title="The checks could not be run">
          <p>{query.error.message}</p>
        </Note>
      )}
      <ul className={css.checks}>
        {ordered.map((check) => (
          <li key={check.title} data-check={check.passed ? "passed" : "failed"}>
            <Mark tone={check.passed ? "plain" : "bad"}>
              {check.passed ? "passed" : `failed: ${formatCount(check.value)}`}
            </Mark>
            <div>
              <h3>{check.title}</h3>
              <p>
                <Worded text={check.explanation} />
              </p>
              {check.detail !== null && (
                <p className={css.detail}>
                  <Worded text={check.detail} />
                </p>
              )}
            </div>
          </li>
        ))}
      </ul>
      <p className={css.more}>
        Files that changed behind the catalogue's back are found by <Link to="/indexing">indexing</Link>.
      </p>
    </section>
  );
}

/** A sentence of the server, with what it puts between backticks set as a command. */
function Worded({ text }: { text: string }) {
  return text.split("`").map((part, place) =>
    place % 2 === 0 ? (
      part
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: a sentence's parts do not move
      <code key={place} className="mono">
        {part}
      </code>
    ),
  );
}
