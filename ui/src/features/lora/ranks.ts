/** How much of a change a lower rank would keep, in words. */
import type { EnergyRank, LoraDetail } from "@/api/client";

/** From the smallest share, in percent, to the largest. */
const SHARES = [90, 95, 99] as const satisfies readonly (keyof EnergyRank)[];

/** One sentence about the whole file, such as "Trained at rank 32; rank 6 keeps 90 % of the change, 15 keeps 99 %." */
export function rankSentence(rank: number | null, kept: EnergyRank | null): string {
  const trained = rank === null ? "Not trained at one rank" : `Trained at rank ${rank}`;
  // Where one rank keeps several shares, the largest says it all.
  const largest = new Map<number, number>();
  for (const share of SHARES) {
    const needed = kept?.[share] ?? null;
    if (needed !== null) largest.set(needed, share);
  }
  if (largest.size === 0) return `${trained}; what a lower rank would keep is not known.`;
  if (largest.has(0)) return `${trained}; it changes nothing.`;
  const parts = [...largest].map(([needed, share], place) =>
    place === 0 ? `rank ${needed} keeps ${share} % of the change` : `${needed} keeps ${share} %`,
  );
  return `${trained}; ${parts.join(", ")}.`;
}

/** The sentence for an entry; null where nothing of it was measured, which the page says elsewhere. */
export function describeRanks(entry: LoraDetail): string | null {
  if (entry.parameters !== null) return rankSentence(entry.rank, entry.energy_rank);
  return entry.has_block_weights
    ? "Not measured by the version that read this file. Reindex, and read unchanged files again too, to learn it."
    : null;
}
