// The command `npm run bench:launcher`: what `pagerun <command>` adds to the time of a command, beside what a start of
// Node.js takes, which is most of it. Owns its options and its lines. Each round runs everything once, in turns.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeLoad, describeMachine, formatMachine } from "#figures/machine.js";
import { orderForRound } from "#figures/rounds.js";
import { median } from "#figures/statistics.js";
import { kExitFailure, kExitUsage, parsePositiveInteger, UsageError } from "./options.js";

const kRoot = resolve(fileURLToPath(new URL("../..", import.meta.url)));
const kCli = join(kRoot, "dist", "cjs", "cli.js");
const kCommand = "/bin/true";
const kRounds = 25;
const kLimitMs = 60;

const kHelp = `usage: npm run bench:launcher [-- options]

Measures what "pagerun <command>" adds to the time of a command: ${kCommand} by itself and behind the launcher, and
Node.js with an empty program, in turns; medians. At most ${kLimitMs} ms are wanted. Without variables that begin with
NODE_, of which some make each start of Node.js longer (NODE_EXTRA_CA_CERTS below Node.js 22: by about 30 ms).

  --rounds N     how often (default: ${kRounds})
  --node PATH    the Node.js that the launcher runs in (default: this one); may be repeated
`;

interface Times {
  alone: number[];
  launched: number[];
  /** Node.js with an empty program. */
  node: number[];
}

const kEnvironment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("NODE_")));

/** Milliseconds that the command takes. Throws when it does not end well. */
function timeOf(program: string, ...args: string[]): number {
  const begun = performance.now();
  const { status, error } = spawnSync(program, args, { stdio: "ignore", env: kEnvironment });
  const time = performance.now() - begun;
  if (status !== 0)
    throw new Error(`${[program, ...args].join(" ")} failed: ${error?.message ?? `exit code ${status}`}`);
  return time;
}

function measure(node: string, empty: string, rounds: number): Times {
  const times: Times = { alone: [], launched: [], node: [] };
  const turns = [
    () => times.alone.push(timeOf(kCommand)),
    () => times.launched.push(timeOf(node, kCli, kCommand)),
    () => times.node.push(timeOf(node, empty)),
  ];
  for (let round = 0; round < rounds; round++) for (const turn of orderForRound(turns, round)) turn();
  return times;
}

function versionOf(node: string): string {
  const { status, stdout } = spawnSync(node, ["--version"], { encoding: "utf8" });
  if (status === 0 && /^v\d+\./.test(stdout)) return stdout.trim();
  throw new UsageError(`Expected a Node.js for --node but received "${node}".`);
}

function lineOf(version: string, { alone, launched, node }: Times): string {
  const added = median(launched) - median(alone);
  const start = median(node) - median(alone);
  const verdict = added < kLimitMs ? "met" : "missed";
  const figures = `adds ${added.toFixed(1)} ms, of which a start of Node.js is ${start.toFixed(1)} ms`;
  return `${verdict.padEnd(7)} ${version}: the launcher ${figures} (${alone.length} rounds, at most ${kLimitMs} wanted)\n`;
}

function run(nodes: readonly string[], rounds: number): void {
  const versions = nodes.map((node) => ({ node, version: versionOf(node) }));
  const folder = mkdtempSync(join(tmpdir(), "pagerun-launcher-"));
  const empty = join(folder, "empty.cjs");
  try {
    writeFileSync(empty, "");
    process.stdout.write(`${formatMachine(describeMachine())}\n`);
    const load = describeLoad();
    if (load !== undefined) process.stderr.write(`${load}\n`);
    for (const { node, version } of versions) process.stdout.write(lineOf(version, measure(node, empty, rounds)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readOptions(args: readonly string[]) {
  const options = {
    rounds: { type: "string", default: String(kRounds) },
    node: { type: "string", multiple: true, default: [process.execPath] as string[] },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function main(): number {
  try {
    const { rounds, node, help } = readOptions(process.argv.slice(2));
    if (help) {
      process.stdout.write(kHelp);
      return 0;
    }
    if (!existsSync(kCli)) throw new UsageError('Run "npm run build" first.');
    run(node, parsePositiveInteger("--rounds", rounds));
    return 0;
  } catch (error) {
    process.stderr.write(`bench:launcher: ${(error as Error).message}\n`);
    return error instanceof UsageError ? kExitUsage : kExitFailure;
  }
}

process.exitCode = main();
