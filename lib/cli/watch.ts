// Owns what is known of a running command: samples of its memory, its marks, when its work ended and what it held at rest.
// Does not read the system and has no clock: both are handed in. Times are seconds since the start. Thread rule: one thread.
import type { TreeReading } from "./process-tree.js";

export interface Sample {
  seconds: number;
  rssBytes: number;
}

export interface Mark {
  seconds: number;
  name: string;
}

/** The mark that ends the work. */
const kIdle = "idle";
/** Work is where more than this share of a core was used, or waited for, over this time. */
const kBusyShare = 0.1;
const kBusySeconds = 0.5;
/** A sample may come so late, on a machine that is busy; further away it says nothing of the wanted moment. */
const kNearSeconds = 1;

/** A program may wait so long for others before it counts as one that does nothing any more. */
const kLeastQuietSeconds = 15;

export class Watch {
  readonly samples: Sample[] = [];
  readonly marks: Mark[] = [];
  peakBytes = 0;
  /** When the processor was last kept busy. */
  busyUntil = 0;
  #wanted: { seconds: number; wantedSeconds: number }[] = [];

  constructor(readonly rest: readonly number[]) {}

  get idleAt(): number | undefined {
    return this.marks.find(({ name }) => name === kIdle)?.seconds;
  }

  /** The mark, or else where the work was seen to end. */
  get workEnd(): number | undefined {
    return this.idleAt ?? (this.busyUntil > 0 ? this.busyUntil : undefined);
  }

  /** Whether the mark came and every reading at rest has been taken. */
  get isRested(): boolean {
    const last = this.samples.at(-1)?.seconds ?? 0;
    return this.idleAt !== undefined && last >= this.idleAt + (this.rest.at(-1) ?? 0);
  }

  /** Whether a program without the mark has done nothing for so long that the readings at rest are over. */
  isQuiet(seconds: number): boolean {
    const wanted = Math.max(kLeastQuietSeconds, ...this.rest) + kNearSeconds;
    return this.idleAt === undefined && seconds - this.busyUntil > wanted;
  }

  mark(name: string, seconds: number): void {
    if (name !== "") this.marks.push({ name, seconds });
  }

  sample(seconds: number, reading: TreeReading): void {
    const { rssBytes, largestBytes } = reading;
    this.samples.push({ seconds, rssBytes });
    this.peakBytes = Math.max(this.peakBytes, rssBytes, largestBytes);
    // On a busy machine a program may wait long for its turn: that is not rest.
    const wantedSeconds = reading.cpuSeconds + reading.waitedSeconds;
    this.#wanted.push({ seconds, wantedSeconds });
    while ((this.#wanted[1]?.seconds ?? seconds) <= seconds - kBusySeconds) this.#wanted.shift();
    const oldest = this.#wanted[0] ?? { seconds, wantedSeconds };
    const elapsed = seconds - oldest.seconds;
    if (elapsed > 0 && wantedSeconds - oldest.wantedSeconds > kBusyShare * elapsed) this.busyUntil = seconds;
  }

  /** Seconds from now until the next reading at rest is due; Infinity when none is. */
  untilNextRest(seconds: number): number {
    const { idleAt } = this;
    if (idleAt === undefined) return Number.POSITIVE_INFINITY;
    const due = this.rest.map((after) => idleAt + after - seconds).filter((left) => left > 0);
    return Math.min(...due, Number.POSITIVE_INFINITY);
  }

  /** The resident set at each time of rest; undefined where the command was no more. */
  restBytes(): (number | undefined)[] {
    const { workEnd } = this;
    return this.rest.map((after) => (workEnd === undefined ? undefined : this.#near(workEnd + after)));
  }

  #near(seconds: number): number | undefined {
    const sample = this.samples.find((each) => each.seconds >= seconds);
    return sample !== undefined && sample.seconds <= seconds + kNearSeconds ? sample.rssBytes : undefined;
  }
}
