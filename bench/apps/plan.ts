// Owns the list of programs of `npm run bench:apps`: what each asks, how it is started, and what it needs.
// Does not run or install anything. No state.

export interface App {
  name: string;
  question: string;
  /** The file in programs/, and its arguments. */
  script: readonly [string, ...string[]];
  /** Only on glibc: its figure is a measure for the others. */
  isFloor?: boolean;
  /** At least so many trials: what is asked is asked of every single run. */
  leastTrials?: number;
  /** Also without purging, to see what that costs. */
  isJudgedWithoutPurge?: boolean;
}

export const kProbe = "probe";
export const kProbeFloor = "probe-floor";
export const kServer = "server";
export const kWithoutPurge = "without-purge";
export const kWithoutPurgeVariable = "PAGERUN_PURGE_DELAY=off";

export const kApps: readonly App[] = [
  {
    name: kProbe,
    question: "60,000 Buffers of 5 to 8 KB, one in 64 kept, the others collected: what stays?",
    script: ["probe.mjs"],
    leastTrials: 10,
  },
  {
    name: kProbeFloor,
    question: "the same with Buffers of 8 bytes, on glibc: what does Node.js itself grow by?",
    script: ["probe.mjs", "--tiny"],
    isFloor: true,
  },
  {
    name: "images",
    question: "sharp resizes a batch of images, its concurrency fixed",
    script: ["images.mjs"],
  },
  {
    name: "sqlite",
    question: "better-sqlite3: inserts, then results of many rows",
    script: ["sqlite.mjs"],
  },
  {
    name: "level",
    question: "classic-level: writes, reads and deletions over one range of keys",
    script: ["level.mjs"],
  },
  {
    name: kServer,
    question: "a server of JSON over HTTP under constant load in loopback",
    script: ["server.mjs"],
    isJudgedWithoutPurge: true,
  },
  { name: "compile", question: "TypeScript compiles a project twice", script: ["compile.mjs"] },
  { name: "vitest", question: "vitest runs a part of this project's tests", script: ["vitest.mjs"] },
];
