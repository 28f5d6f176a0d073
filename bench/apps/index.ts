// The command `npm run bench:apps`: each program through `pagerun bench`, as a user would run it, then the verdicts.
// Owns the order of these steps and the exit code.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { kExitFailure, kExitInterrupted, kExitUsage, UsageError } from "../options.js";
import { verdictLine } from "../terminal.js";
import { asRows } from "../verdicts.js";
import { compileSqlite, installPackages } from "./install.js";
import { type AppOptions, kAppHelp, parseAppOptions } from "./options.js";
import { type App, kApps, kWithoutPurge, kWithoutPurgeVariable } from "./plan.js";
import { type AppRow, appVerdictsOf } from "./verdicts.js";

const kRoot = resolve(fileURLToPath(new URL("../../..", import.meta.url)));
const kPrograms = join(kRoot, "bench", "apps", "programs");
const kOwn = "pagerun";

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

interface Places {
  json: string;
  report: string;
}

function benchArguments(app: App, options: AppOptions, node: string, places: Places): string[] {
  const [script, ...args] = app.script;
  const trials = options.quick ? options.trials : Math.max(options.trials, app.leastTrials ?? 0);
  const isVaried = app.isJudgedWithoutPurge && (options.contenders ?? kOwn).split(",").includes(kOwn);
  const asked =
    isVaried && options.contenders !== undefined ? `${options.contenders},${kWithoutPurge}` : options.contenders;
  const contenders = app.isFloor ? "glibc" : asked;
  return [
    ...["bench", "--name", app.name, "--trials", String(trials), "--rest", options.rest],
    ...["--json", places.json, "--report", places.report],
    ...(contenders === undefined ? [] : ["--contenders", contenders]),
    ...(app.isFloor ? [] : options.libraries.flatMap((library) => ["--so", library])),
    ...(isVaried ? ["--variant", `${kWithoutPurge}:${kWithoutPurgeVariable}`] : []),
    ...["--", node, join(kPrograms, script), ...args],
  ];
}

/** The comparison that runs. */
let running: ChildProcess | undefined;

/** Runs one program on every allocator; resolves to the exit code. Control-C reaches it as it reaches this process. */
function runApp(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(kRoot, "dist", "esm", "cli.js"), ...args], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    running = child;
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? kExitFailure));
  });
}

/** What the probe keeps, as it says itself. */
function readKeptBytes(node: string): number {
  const { PAGERUN_MARK_FD: _, ...env } = process.env;
  const { stdout } = spawnSync(node, [join(kPrograms, "probe.mjs")], { encoding: "utf8", env });
  const bytes = Number(/, (\d+) bytes$/m.exec(stdout ?? "")?.[1]);
  if (Number.isFinite(bytes)) return bytes;
  throw new UsageError(`Expected a Node.js for --node but "${node}" does not run the probe.`);
}

function conclude(rows: readonly AppRow[], keptBytes: number, out: string): void {
  const verdicts = appVerdictsOf(rows, keptBytes);
  const colours = Boolean(process.stdout.isTTY) && !process.env.NO_COLOR;
  const all = [...rows, ...asRows(verdicts)].map((row) => `  ${JSON.stringify(row)}`);
  writeFileSync(join(out, "results.json"), `[\n${all.join(",\n")}\n]\n`);
  const lines = ["", "verdicts on pagerun", ...verdicts.map((verdict) => verdictLine(verdict, colours))];
  if (verdicts.length > 0) process.stdout.write(`${lines.join("\n")}\n`);
  process.stdout.write(`rows: ${join(out, "results.json")}   reports: ${join(out, "<app>.html")}\n`);
}

async function runAll(options: AppOptions): Promise<number> {
  const node = options.node ?? process.execPath;
  const out = resolve(options.out ?? join(kRoot, "bench", "out", "apps"));
  const keptBytes = readKeptBytes(node);
  mkdirSync(out, { recursive: true });
  const chosen = kApps.filter(({ name }) => options.apps.includes(name));
  if (chosen.some(({ script }) => script[0] !== "probe.mjs")) installPackages(kRoot, note);
  if (options.apps.includes("sqlite")) compileSqlite(kRoot, node, note);
  const rows: AppRow[] = [];
  let code = 0;
  for (const app of chosen) {
    note(`\n${app.name}: ${app.question}`);
    const places = { json: join(out, `${app.name}.json`), report: join(out, `${app.name}.html`) };
    writeFileSync(places.json, "[]");
    const ended = await runApp(benchArguments(app, options, node, places));
    rows.push(...(JSON.parse(readFileSync(places.json, "utf8")) as AppRow[]));
    code ||= ended;
    if (ended === kExitInterrupted || ended === kExitUsage) break;
  }
  conclude(rows, keptBytes, out);
  return code;
}

async function main(): Promise<number> {
  try {
    const options = parseAppOptions(process.argv.slice(2));
    if (options.help) {
      process.stdout.write(`${kAppHelp}\n`);
      return 0;
    }
    if (!existsSync(join(kRoot, "dist", "esm", "cli.js"))) throw new UsageError('Run "npm run build" first.');
    return await runAll(options);
  } catch (error) {
    process.stderr.write(`bench:apps: ${(error as Error).message}\n`);
    return error instanceof UsageError ? kExitUsage : kExitFailure;
  }
}

// The comparison that runs ends early and tells what it has; then this command judges that, and ends as well.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => running?.kill("SIGTERM"));
process.exitCode = await main();
