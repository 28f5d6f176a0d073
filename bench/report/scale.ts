// Owns the mapping from figures to places on a logarithmic axis, and its ticks. Pure functions, no state.

export interface LogScale {
  from: number;
  to: number;
  /** Place of a value in pixels; values beyond the ends are placed at the ends. */
  place(value: number): number;
}

export function logScale(from: number, to: number, start: number, end: number): LogScale {
  const low = Math.log(from);
  const range = Math.log(to) - low || 1;
  const place = (value: number) => {
    const share = (Math.log(Math.max(value, Number.MIN_VALUE)) - low) / range;
    return start + Math.min(1, Math.max(0, share)) * (end - start);
  };
  return { from, to, place };
}

/** The ends of an axis of ratios that shows all of them: 1 is inside, and neither side is shorter than a quarter. */
export function ratioRange(ratios: readonly number[]): [number, number] {
  const positive = ratios.filter((ratio) => ratio > 0 && Number.isFinite(ratio));
  const low = Math.min(0.8, ...positive);
  const high = Math.max(1.25, ...positive);
  return [low / 1.06, high * 1.06];
}

const kTickFactors = [[1, 1.25, 1.5, 2, 3, 4, 5, 6, 8], [1, 2, 5], [1, 3], [1]];

/** Round values inside the scale, as many as leave at least `distance` pixels between two. */
export function logTicks(scale: LogScale, distance: number): number[] {
  const lowest = Math.floor(Math.log10(scale.from));
  const powers = Array.from({ length: Math.ceil(Math.log10(scale.to)) - lowest + 1 }, (_, index) => lowest + index);
  for (const factors of kTickFactors) {
    const ticks = powers
      .flatMap((power) => factors.map((factor) => Number((factor * 10 ** power).toPrecision(6))))
      .filter((tick) => tick >= scale.from && tick <= scale.to);
    const isClear = ticks.every((tick, index) => {
      const next = ticks[index + 1];
      return next === undefined || Math.abs(scale.place(next) - scale.place(tick)) >= distance;
    });
    if (isClear) return ticks;
  }
  return [1];
}
