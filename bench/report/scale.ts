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

/** Round values inside the range: 1, 2 and 5 times powers of ten, thinned to at most `most`. */
export function logTicks(from: number, to: number, most: number): number[] {
  const steps = [[1, 2, 5], [1, 3], [1]];
  for (const factors of [[1, 1.25, 1.5, 2, 3, 4, 5, 6, 8], ...steps]) {
    const ticks: number[] = [];
    for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++) {
      for (const factor of factors) {
        const tick = Number((factor * 10 ** power).toPrecision(6));
        if (tick >= from && tick <= to) ticks.push(tick);
      }
    }
    if (ticks.length <= most) return ticks;
  }
  return [1];
}
