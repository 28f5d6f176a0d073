// Owns the figures that are made from trials: median, spread, ratio, geometric mean, percentile.
// Does not own where trials come from or how figures are shown. Pure functions, no state.

/** The middle value; the mean of the two middle values for an even count. NaN for no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

export interface Spread {
  min: number;
  max: number;
  /** Half of (max - min) over the median: 0.05 reads "± 5 %". 0 for a median of 0. */
  relative: number;
}

/** The whole range of the trials: with few trials a range hides less than a deviation does. NaN for no values. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) return { min: Number.NaN, max: Number.NaN, relative: Number.NaN };
  const min = Math.min(...values);
  const max = Math.max(...values);
  const middle = median(values);
  return { min, max, relative: middle === 0 ? 0 : (max - min) / 2 / Math.abs(middle) };
}

/** `value / baseline`; undefined where either is missing, not finite, or the baseline is not positive. */
export function ratio(value: number | undefined, baseline: number | undefined): number | undefined {
  if (value === undefined || baseline === undefined) return undefined;
  if (!Number.isFinite(value) || !Number.isFinite(baseline) || baseline <= 0) return undefined;
  return value / baseline;
}

/** The geometric mean of positive values; undefined when there is none or one is not positive. */
export function geometricMean(values: readonly number[]): number | undefined {
  if (values.length === 0 || values.some((value) => !(value > 0) || !Number.isFinite(value))) return undefined;
  const logs = values.reduce((sum, value) => sum + Math.log(value), 0);
  return Math.exp(logs / values.length);
}

/** The value that `fraction` (0 to 1) of the ascending `sorted` values do not exceed (nearest rank). NaN for none. */
export function percentile(sorted: ArrayLike<number>, fraction: number): number {
  if (sorted.length === 0) return Number.NaN;
  const rank = Math.ceil(fraction * sorted.length) - 1;
  return sorted[Math.min(Math.max(rank, 0), sorted.length - 1)] as number;
}
