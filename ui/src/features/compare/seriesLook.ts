/** How each LoRA of a comparison is drawn: a colour and a line of its own, so that neither carries the meaning alone. */

const DASHES = ["none", "8 4", "2 3", "10 3 2 3", "10 3 2 3 2 3", "1.5 5"] as const;

export function seriesColour(place: number): string {
  return `var(--series-${place})`;
}

export function seriesDash(place: number): string {
  return DASHES[place] ?? "none";
}
