/** Where the reader was in a list, so that coming back finds the same rows. Kept for the life of the page. */

export interface ListPosition {
  /** Scroll offset in pixels. */
  offset: number;
  /** Index of the active row. */
  active: number;
}

const positions = new Map<string, ListPosition>();

export function recallPosition(list: string): ListPosition {
  return positions.get(list) ?? { offset: 0, active: 0 };
}

export function rememberPosition(list: string, position: Partial<ListPosition>): void {
  positions.set(list, { ...recallPosition(list), ...position });
}
