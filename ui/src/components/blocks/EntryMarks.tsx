/** What is out of the ordinary about an entry, in words. */
import type { LoraRow } from "@/api/client";
import { Mark } from "@/components/ui";
import { countOf } from "@/lib/format";

type Marked = Pick<
  LoraRow,
  | "state"
  | "pending"
  | "stale"
  | "stale_reason"
  | "fallback"
  | "fallback_reason"
  | "duplicate_of"
  | "error"
  | "warnings"
>;

/** `brief` leaves out the id of what an entry is a copy of. */
export function EntryMarks({ entry, brief = false }: { entry: Marked; brief?: boolean }) {
  const { state, pending, stale, stale_reason, fallback, fallback_reason, duplicate_of, error, warnings } =
    entry;
  return (
    <>
      {state === "missing" && (
        <Mark tone="warn" title="The file is no longer where it was last seen.">
          missing
        </Mark>
      )}
      {error !== null && (
        <Mark tone="bad" title={error}>
          unreadable
        </Mark>
      )}
      {fallback && error === null && (
        <Mark tone="warn" title={fallback_reason ?? "No block could be measured."}>
          unmeasured
        </Mark>
      )}
      {pending && error === null && (
        <Mark title="Listed; its weights have not been read yet.">not read yet</Mark>
      )}
      {stale && (
        <Mark title={stale_reason ?? "The file could not be looked at in the last run."}>not checked</Mark>
      )}
      {duplicate_of !== null && (
        <Mark title={`Same content as ${duplicate_of}`}>{brief ? "copy" : `copy of ${duplicate_of}`}</Mark>
      )}
      {warnings.length > 0 && error === null && (
        <Mark title={warnings.join("\n")}>{countOf(warnings.length, "warning", "warnings")}</Mark>
      )}
    </>
  );
}
