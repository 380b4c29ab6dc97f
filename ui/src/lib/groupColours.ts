/** Which of the group colours each block group wears, so that a group looks the same everywhere. */

export const GROUP_COLOUR_COUNT = 8;

interface HasGroups {
  groups: readonly { key: string }[];
}

/**
 * Gives every group key of the layouts a colour number. Groups that stand side by side in some layout get different
 * numbers as long as there are enough; among the free ones the least used is taken, then the lowest. The result
 * depends only on the registry's order, not on what the library holds.
 */
export function assignGroupColours(layouts: readonly HasGroups[]): Map<string, number> {
  const neighbours = new Map<string, Set<string>>();
  for (const { groups } of layouts) {
    for (const { key } of groups) {
      const set = neighbours.get(key) ?? new Set<string>();
      for (const other of groups) if (other.key !== key) set.add(other.key);
      neighbours.set(key, set);
    }
  }
  const colours = new Map<string, number>();
  const used = new Array<number>(GROUP_COLOUR_COUNT).fill(0);
  for (const [key, others] of neighbours) {
    const taken = new Set([...others].map((other) => colours.get(other)));
    const all = used.map((count, number) => ({ count, number }));
    const free = all.filter(({ number }) => !taken.has(number));
    const choice = (free.length > 0 ? free : all).reduce((best, next) =>
      next.count < best.count ? next : best,
    );
    colours.set(key, choice.number);
    used[choice.number] = choice.count + 1;
  }
  return colours;
}
