// Owns where the lines of a grid and the labels of a plot stand. Pure functions, no state.

/** Steps of the grid that an axis has at most. */
const kTicks = 4;

/** A round number of at least a quarter of `most`: the distance between two lines of the grid. */
export function tickStep(most: number): number {
  const raw = most / kTicks;
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= raw * 0.999) ?? 10 * power;
}

/** Places for labels that are wanted at `wanted`, in the same order, at least a line of text apart. */
export function spreadLabels(wanted: readonly number[], distance: number, bottom: number): number[] {
  const order = wanted.map((_, index) => index).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const placed = [...wanted];
  let last = Number.NEGATIVE_INFINITY;
  for (const index of order) {
    last = Math.max(wanted[index] ?? 0, last + distance);
    placed[index] = last;
  }
  let limit = bottom;
  for (const index of order.reverse()) {
    placed[index] = Math.min(placed[index] ?? 0, limit);
    limit = (placed[index] ?? 0) - distance;
  }
  return placed;
}
