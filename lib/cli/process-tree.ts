// Owns the reading of a process and its descendants from /proc: resident sets, processor time, which library is mapped.
// Does not own when it is read, and ends no process but by `signal`. Thread rule: one thread.
import { existsSync, readdirSync, readFileSync } from "node:fs";

const kTicksPerSecond = 100;
const kNanosecondsPerSecond = 1e9;

/** What all living processes of a tree hold and have used at one moment. */
export interface TreeReading {
  rssBytes: number;
  /** The largest resident set that any single one of them ever had. */
  largestBytes: number;
  /** Processor time of the living and of those whose end their parents have seen. */
  cpuSeconds: number;
  /** Time for which living threads were ready and had to wait for a processor. */
  waitedSeconds: number;
  processes: number;
}

interface ProcessReading {
  rssBytes: number;
  largestBytes: number;
  cpuSeconds: number;
  waitedSeconds: number;
}

/** The file's text; empty where the process has ended meanwhile. */
function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** The fields of /proc/<pid>/stat behind the name, which may hold anything: the first is the state, field 3. */
function statFields(pid: number | "self"): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function statFigure(fields: readonly string[], field: number): number {
  return Number(fields[field - 3]);
}

/** Names that proc(5) gives to the fields. */
const kField = { minorFaults: 11, majorFaults: 13, user: 14, kernel: 15, endedUser: 16, endedKernel: 17, start: 22 };

/** Totals of the children of this process whose end it has seen, and of theirs. */
export interface EndedChildren {
  cpuSeconds: number;
  faults: number;
}

export function readEndedChildren(): EndedChildren {
  const fields = statFields("self");
  const [user, kernel] = [statFigure(fields, kField.endedUser), statFigure(fields, kField.endedKernel)];
  const faults = statFigure(fields, kField.minorFaults) + statFigure(fields, kField.majorFaults);
  return { cpuSeconds: (user + kernel) / kTicksPerSecond, faults };
}

function startOf(pid: number): number | undefined {
  try {
    return statFigure(statFields(pid), kField.start);
  } catch {
    return undefined;
  }
}

function cpuSecondsOf(pid: number): number {
  try {
    const fields = statFields(pid);
    const { user, kernel, endedUser, endedKernel } = kField;
    const ticks = [user, kernel, endedUser, endedKernel].reduce((sum, field) => sum + statFigure(fields, field), 0);
    return ticks / kTicksPerSecond;
  } catch {
    return 0;
  }
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** The second figure of schedstat is nanoseconds on a run queue; a kernel without it says 0, or has no such file. */
function waitedSecondsOf(pid: number): number {
  const waited = threadsOf(pid).map((thread) =>
    Number(readProcess(pid, `task/${thread}/schedstat`).split(" ")[1] ?? 0),
  );
  return waited.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / kNanosecondsPerSecond;
}

function kibibytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1024;
}

function readOne(pid: number): ProcessReading | undefined {
  const status = readProcess(pid, "status");
  // One that has ended and waits for its parent holds nothing.
  if (!status.includes("VmRSS:")) return undefined;
  return {
    rssBytes: kibibytes(status, "VmRSS"),
    largestBytes: kibibytes(status, "VmHWM"),
    cpuSeconds: cpuSecondsOf(pid),
    waitedSeconds: waitedSecondsOf(pid),
  };
}

/** Kernels may be built without the lists of children. */
const kHasChildren = existsSync("/proc/thread-self/children");

/** All processes by their parents: the long way to children. */
export function processesByParent(): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? readProcess(Number(name), "stat") : "";
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (stat !== "") found.set(parent, [...(found.get(parent) ?? []), Number(name)]);
  }
  return found;
}

/** Children of all threads of a process. */
function childrenOf(pid: number, byParent: Map<number, number[]> | undefined): number[] {
  if (byParent !== undefined) return byParent.get(pid) ?? [];
  return threadsOf(pid).flatMap((thread) =>
    readProcess(pid, `task/${thread}/children`)
      .split(" ")
      .filter((text) => text !== "")
      .map(Number),
  );
}

/** A process and all that descend from it. One that was seen once stays a member when its parent ends before it. */
export class ProcessTree {
  /** When each member started, which tells it from a later process with the same number. */
  readonly #starts = new Map<number, number>();

  constructor(readonly root: number) {
    this.#add(root);
  }

  #add(pid: number): void {
    if (this.#starts.has(pid)) return;
    const start = startOf(pid);
    if (start !== undefined) this.#starts.set(pid, start);
  }

  /** Members that live, parents before children. */
  living(): number[] {
    const byParent = kHasChildren ? undefined : processesByParent();
    for (const pid of this.#starts.keys()) {
      if (startOf(pid) !== this.#starts.get(pid)) this.#starts.delete(pid);
      // A Map's walk comes to what is added on the way: grandchildren are found in the same pass.
      else for (const child of childrenOf(pid, byParent)) this.#add(child);
    }
    return [...this.#starts.keys()];
  }

  /** Undefined when none is left. */
  read(): TreeReading | undefined {
    const readings = this.living().flatMap((pid) => readOne(pid) ?? []);
    if (readings.length === 0) return undefined;
    const sum = (figure: keyof ProcessReading) => readings.reduce((total, reading) => total + reading[figure], 0);
    return {
      rssBytes: sum("rssBytes"),
      largestBytes: Math.max(...readings.map(({ largestBytes }) => largestBytes)),
      cpuSeconds: sum("cpuSeconds"),
      waitedSeconds: sum("waitedSeconds"),
      processes: readings.length,
    };
  }

  /** Sends a signal to every member that lives. */
  signal(signal: NodeJS.Signals): void {
    for (const pid of this.living()) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended between the two calls.
      }
    }
  }
}

/** Whether a process has the library in its memory; undefined when it has ended. */
export function hasLibrary(pid: number, library: string): boolean | undefined {
  const maps = readProcess(pid, "maps");
  return maps === "" ? undefined : maps.includes(library);
}
