/** What the index job is doing, in words and as a share. Pure. */
import type { IndexStatus } from "@/api/client";

export const PHASE_WORDS: Record<IndexStatus["phase"], string> = {
  idle: "Idle",
  walk: "Walking the folders",
  headers: "Reading headers",
  identity: "Telling entries apart",
  store: "Storing",
  data: "Measuring blocks",
  duplicates: "Looking for copies",
  done: "Finished",
  stopped: "Stopped",
  failed: "Failed",
};

/** Share done, 0..1; null while it cannot be told. */
export function share({ done, total }: Pick<IndexStatus, "done" | "total">): number | null {
  return total === null || total === 0 ? null : Math.min(1, done / total);
}
