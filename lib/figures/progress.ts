// Owns what is shown while trials run: one live line on a terminal, a plain line now and then elsewhere.
// Does not own the results. Writes to standard error only, so that standard output can be the rows.

/** Shortest time between two plain lines. */
const kPlainIntervalMs = 5_000;

/** Whole seconds as "m:ss". */
export function formatClock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Seconds that are left at the pace so far, and no more than the limit leaves; undefined while there is no pace. */
export function remainingSeconds(
  done: number,
  total: number,
  elapsed: number,
  limit: number | undefined,
): number | undefined {
  if (done === 0) return undefined;
  const left = (elapsed / done) * (total - done);
  return limit === undefined ? left : Math.min(left, Math.max(0, limit - elapsed));
}

export interface ProgressStep {
  done: number;
  total: number;
  elapsed: number;
  limit: number | undefined;
  text: string;
}

/** One line for a step: percentage, clock, estimate, what runs. */
export function formatStep({ done, total, elapsed, limit, text }: ProgressStep): string {
  const left = remainingSeconds(done, total, elapsed, limit);
  const share = Math.max(total === 0 ? 1 : done / total, limit === undefined ? 0 : Math.min(elapsed / limit, 0.99));
  const percent = `${Math.round(share * 100)}`.padStart(3);
  const estimate = left === undefined ? "" : `, about ${formatClock(left)} left`;
  return `[${percent} %] ${formatClock(elapsed)}${estimate}  ${text}`;
}

export class Progress {
  private lastPlain = Number.NEGATIVE_INFINITY;
  private shown = false;

  constructor(private readonly stream: NodeJS.WriteStream = process.stderr) {}

  step(step: ProgressStep): void {
    const line = formatStep(step);
    if (this.stream.isTTY) {
      this.stream.write(`\r\x1b[2K${line.slice(0, (this.stream.columns || 80) - 1)}`);
      this.shown = true;
      return;
    }
    const now = performance.now();
    if (now - this.lastPlain < kPlainIntervalMs) return;
    this.lastPlain = now;
    this.stream.write(`${line}\n`);
  }

  /** A line that stays. */
  note(text: string): void {
    this.end();
    this.stream.write(`${text}\n`);
  }

  /** Takes the live line away. */
  end(): void {
    if (this.shown) this.stream.write("\r\x1b[2K");
    this.shown = false;
  }
}
