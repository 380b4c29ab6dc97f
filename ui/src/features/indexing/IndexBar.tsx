/** The index in the frame of every page: how many entries, how fresh, and a needle that moves while it works. */
import { Link } from "@tanstack/react-router";
import { useIndexStatus } from "@/api/indexStatus";
import { countOf, formatAgo, formatCount } from "@/lib/format";
import { useNow } from "@/lib/hooks";
import css from "./indexing.module.css";
import { PHASE_WORDS, share } from "./progress";

export function IndexBar() {
  const { data: status, isError } = useIndexStatus();
  const now = useNow(20_000);
  if (status === undefined)
    return isError ? <span className={css.bar}>Server out of reach</span> : <span className={css.bar} />;
  const done = share(status);
  return (
    <>
      <Link to="/indexing" className={css.bar}>
        {status.indexing ? (
          <>
            <i className={css.pulse} aria-hidden="true" />
            {PHASE_WORDS[status.phase]}
            {status.total !== null && (
              <span className="faint">
                {formatCount(status.done)} of {formatCount(status.total)}
              </span>
            )}
          </>
        ) : (
          <>
            <span className={css.wide}>{countOf(status.total_loras, "LoRA", "LoRAs")}</span>
            <span className="faint">
              {status.last_scan === null ? "never scanned" : `scanned ${formatAgo(status.last_scan, now)}`}
            </span>
            {status.error_count > 0 && (
              <span className={css.errors}>{countOf(status.error_count, "error", "errors")}</span>
            )}
          </>
        )}
      </Link>
      {status.indexing && (
        <span className={css.line} aria-hidden="true" style={{ width: `${(done ?? 0.02) * 100}%` }} />
      )}
    </>
  );
}
