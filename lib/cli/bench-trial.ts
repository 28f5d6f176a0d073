// Owns one trial: the command started on one allocator, watched until its end, and ended after the readings at rest.
// Does not own which trials there are or what becomes of their figures. Thread rule: one trial at a time.
import { type ChildProcess, spawn } from "node:child_process";
import { MarkFile } from "./mark-file.js";
import { hasLibrary, ProcessTree, readEndedChildren } from "./process-tree.js";
import { type Mark, type Sample, Watch } from "./watch.js";

export interface TrialSetting {
  command: readonly string[];
  environment: NodeJS.ProcessEnv;
  /** What has to be in the memory of the command's processes; undefined for the system's own allocator. */
  library: string | undefined;
  rest: readonly number[];
  seconds: number | undefined;
  limitSeconds: number;
  showOutput: boolean;
  /** Told now and then how it stands. */
  onTick: (seconds: number, rssBytes: number, isAtRest: boolean) => void;
}

/** What one trial has shown. Times are seconds since its start. */
export interface Trial {
  /** Until the mark "idle", or else until the command ended itself. Undefined when neither came. */
  wallSeconds: number | undefined;
  cpuSeconds: number;
  faults: number;
  peakBytes: number;
  /** Resident set so many seconds after the end of work; undefined where the command had ended. */
  restBytes: (number | undefined)[];
  samples: Sample[];
  marks: Mark[];
  workEnd: number | undefined;
  /** True when it was ended because it neither ended itself, nor marked anything, nor did anything any more. */
  isCutShort: boolean;
  failure: string | undefined;
}

/** The command itself cannot be started: no allocator changes that. */
export class StartError extends Error {
  override name = "StartError";
}

/** The number of the descriptor for marks. */
const kMarkDescriptor = 3;

const kFirstPeriodMs = 5;
const kPeriodMs = 50;
/** While so young, a program is looked at more often: it may not live long. */
const kYoungSeconds = 0.25;
const kTickSeconds = 0.5;
const kGraceMs = 4000;
const kTailCharacters = 400;
/** A process that was seen without the library so often, and is so old, will not get it. */
const kMostUnloaded = 3;
const kSettledSeconds = 0.3;
/** What a command wrote last may be read after its end is known. */
const kLastWordsMs = 200;

type Ending = "itself" | "rested" | "seconds" | "quiet" | "overdue" | "interrupted" | "unloaded";

const kOverdueHint = "--seconds ends a command that does not end itself, --limit allows more time";

/** One running trial; `interrupt` ends it early, and its figures are then none. */
export class TrialRun {
  readonly #setting: TrialSetting;
  readonly #startedAt: number;
  readonly #before = readEndedChildren();
  readonly #child: ChildProcess;
  readonly #marks: MarkFile;
  readonly #tree: ProcessTree;
  readonly #watch: Watch;
  readonly #closed: Promise<unknown>;
  #ending: Ending = "itself";
  #isLoaded: boolean;
  #unloaded = 0;
  #errors = "";
  #timer: NodeJS.Timeout | undefined;
  #killer: NodeJS.Timeout | undefined;
  #lastTick = 0;

  /** No way out of this process leaves the command running. */
  readonly #killAll = () => {
    this.#tree.signal("SIGKILL");
    this.#marks.close();
  };

  private constructor(setting: TrialSetting, startedAt: number, child: ChildProcess, marks: MarkFile) {
    this.#setting = setting;
    this.#startedAt = startedAt;
    this.#child = child;
    this.#marks = marks;
    this.#tree = new ProcessTree(child.pid as number);
    this.#watch = new Watch(setting.rest);
    this.#isLoaded = setting.library === undefined;
    this.#closed = new Promise((resolve) => child.once("close", resolve));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (setting.showOutput) process.stderr.write(text);
      this.#errors = (this.#errors + text).slice(-kTailCharacters);
    });
    child.stdout?.on("data", (bytes: Buffer) => process.stderr.write(bytes));
    marks.onChange = () => this.#look();
    process.on("exit", this.#killAll);
  }

  /** Starts the command; rejects with StartError when that is not possible. */
  static async start(setting: TrialSetting): Promise<TrialRun> {
    const [program = "", ...args] = setting.command;
    const marks = new MarkFile();
    const startedAt = performance.now();
    const child = spawn(program, args, {
      env: { ...setting.environment, PAGERUN_MARK_FD: String(kMarkDescriptor), PAGERUN_MARK_FILE: marks.path },
      stdio: ["ignore", setting.showOutput ? "pipe" : "ignore", "pipe", marks.descriptor],
      // A group of its own: Control-C is for the bench, which then ends the command itself.
      detached: true,
    });
    const failed = new Promise<never>((_, reject) =>
      child.once("error", (error: NodeJS.ErrnoException) => {
        marks.close();
        const reason = error.code === "ENOENT" ? "there is no such program" : error.message;
        reject(new StartError(`${program} cannot be started: ${reason}`));
      }),
    );
    if (child.pid === undefined) return failed;
    failed.catch(() => {});
    return new TrialRun(setting, startedAt, child, marks);
  }

  get #seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  #takeMarks(): void {
    for (const name of this.#marks.take()) this.#watch.mark(name, this.#seconds);
  }

  /** Takes a sample, and looks whether the time has come to end the command; then plans the next look. */
  #look(): void {
    clearTimeout(this.#timer);
    this.#takeMarks();
    const reading = this.#tree.read();
    const seconds = this.#seconds;
    if (reading !== undefined) this.#watch.sample(seconds, reading);
    if (seconds - this.#lastTick >= kTickSeconds) {
      this.#lastTick = seconds;
      this.#setting.onTick(seconds, reading?.rssBytes ?? 0, this.#watch.idleAt !== undefined);
    }
    this.#proveLibrary(seconds);
    const ending = this.#dueEnding(seconds);
    if (ending !== undefined) this.#end(ending);
    const period = seconds < kYoungSeconds ? kFirstPeriodMs : kPeriodMs;
    const untilRest = this.#watch.untilNextRest(seconds) * 1000;
    this.#timer = setTimeout(() => this.#look(), Math.max(1, Math.min(period, untilRest)));
  }

  /** The loader only warns about a preload that it cannot use, and a static program has none: no figure may come of it. */
  #proveLibrary(seconds: number): void {
    const { library } = this.#setting;
    if (this.#isLoaded || library === undefined) return;
    const found = this.#tree.living().map((pid) => hasLibrary(pid, library));
    if (found.some((isThere) => isThere === true)) this.#isLoaded = true;
    else if (found[0] === false) this.#unloaded++;
    if (this.#isUnloaded && seconds >= kSettledSeconds) this.#end("unloaded");
  }

  get #isUnloaded(): boolean {
    return !this.#isLoaded && this.#unloaded >= kMostUnloaded;
  }

  #dueEnding(seconds: number): Ending | undefined {
    const { seconds: wanted, limitSeconds } = this.#setting;
    if (this.#ending !== "itself") return undefined;
    if (this.#watch.isRested) return "rested";
    if (wanted !== undefined && seconds >= wanted) return "seconds";
    if (seconds >= limitSeconds) return "overdue";
    return wanted === undefined && this.#watch.isQuiet(seconds) ? "quiet" : undefined;
  }

  #end(ending: Ending): void {
    if (this.#ending !== "itself") return;
    this.#ending = ending;
    this.#tree.signal("SIGTERM");
    this.#killer = setTimeout(() => this.#tree.signal("SIGKILL"), kGraceMs);
  }

  interrupt(): void {
    this.#end("interrupted");
  }

  /** Watches to the end. */
  async finish(): Promise<Trial> {
    const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      this.#child.once("exit", (code, signal) => resolve([code, signal]));
    });
    this.#look();
    const [code, signal] = await ended;
    const endedAt = this.#seconds;
    clearTimeout(this.#timer);
    this.#takeMarks();
    this.#marks.onChange = () => {};
    await this.#endRemaining();
    clearTimeout(this.#killer);
    await this.#lastWords();
    this.#marks.close();
    process.off("exit", this.#killAll);
    return this.#trial(endedAt, code, signal);
  }

  /** What the command leaves behind would go on beside the next trial. */
  async #endRemaining(): Promise<void> {
    this.#tree.signal("SIGTERM");
    const deadline = performance.now() + kGraceMs;
    while (this.#tree.living().length > 0) {
      if (performance.now() > deadline) this.#tree.signal("SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, kFirstPeriodMs));
    }
  }

  async #lastWords(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, kLastWordsMs);
    });
    await Promise.race([this.#closed, late]);
    clearTimeout(timer);
    for (const stream of this.#child.stdio) stream?.destroy();
  }

  #failure(code: number | null, signal: NodeJS.Signals | null): string | undefined {
    if (this.#ending === "interrupted") return "interrupted";
    if (this.#ending === "overdue") return `did not end within ${this.#setting.limitSeconds} s; ${kOverdueHint}`;
    if (this.#ending === "unloaded" || this.#isUnloaded)
      return `the command does not load ${this.#setting.library}: it is linked statically, or refuses a preload`;
    if (this.#ending !== "itself" || code === 0) return undefined;
    const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
    const tail = this.#errors.trim();
    return tail === "" ? how : `${how}: ${tail}`;
  }

  #trial(endedAt: number, code: number | null, signal: NodeJS.Signals | null): Trial {
    const after = readEndedChildren();
    const watch = this.#watch;
    const itsEnd = this.#ending === "itself" ? endedAt : undefined;
    return {
      wallSeconds: watch.idleAt ?? itsEnd,
      cpuSeconds: after.cpuSeconds - this.#before.cpuSeconds,
      faults: after.faults - this.#before.faults,
      peakBytes: watch.peakBytes,
      restBytes: watch.restBytes(),
      samples: watch.samples,
      marks: watch.marks,
      workEnd: watch.workEnd,
      isCutShort: this.#ending === "quiet",
      failure: this.#failure(code, signal),
    };
  }
}
