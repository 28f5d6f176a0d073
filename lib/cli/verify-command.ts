// The subcommand `verify`: whether a command really runs on the preload library. It is run, and the library itself says
// that it was loaded, into which process, and that malloc there is its own. Owns the judgement and its one line.
// Does not own what a file says of a program (executable.ts). Thread rule: the main thread of its process.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { findExecutable, isReadable, programBehind, realPath, whyNot } from "./executable.js";
import { ownLibraryPath } from "./own-library.js";
import { hasLibrary, ProcessTree } from "./process-tree.js";
import { environmentOn, startedWith } from "./program-environment.js";
import { makeWorkFolder } from "./work-folder.js";

const kHelp = `usage: pagerun verify [--seconds N] -- <command> [arguments]

Runs the command without input and output, for N seconds at most (10 unless told), and says in one line whether it really
runs on pagerun. Exit code 0: it does; 1: it does not, and the line says why.

A static binary that another program turns into (exec) and that ends within milliseconds may go unseen: name it itself.
`;

const kUsageExit = 2;
const kDefaultSeconds = 10;
const kMaxSeconds = 86_400;
const kLookMs = 5;
const kEndMs = 2000;

/** What the library wrote when it was loaded into a process. */
interface Witness {
  pid: number;
  hasMalloc: boolean;
  program: string;
}

interface Sighting {
  witnesses: Witness[];
  /** Programs that were seen running without the library. */
  without: Map<number, string>;
}

function readWitnesses(file: string): Witness[] {
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [pid = "", hasMalloc = "", ...program] = line.split(" ");
    return { pid: Number(pid), hasMalloc: hasMalloc === "1", program: program.join(" ") };
  });
}

function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

/** Looks at the living again and again: a process that has a program and not the library, twice in a row, has it not. */
class Watcher {
  readonly without = new Map<number, string>();
  readonly #suspects = new Map<number, string>();

  constructor(
    readonly tree: ProcessTree,
    readonly library: string,
  ) {}

  look(): void {
    for (const pid of this.tree.living()) {
      const program = programOf(pid);
      if (program === undefined) continue;
      const isWithout = hasLibrary(pid, this.library) === false && programOf(pid) === program;
      if (isWithout && this.#suspects.get(pid) === program) this.without.set(pid, program);
      if (isWithout) this.#suspects.set(pid, program);
      else this.#suspects.delete(pid);
      if (!isWithout) this.without.delete(pid);
    }
  }
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal);
  } catch {
    // All of it has ended.
  }
}

/** Runs the command to its end, or to the end of its time. */
async function observe(child: ChildProcess, library: string, file: string, seconds: number): Promise<Sighting> {
  const watcher = new Watcher(new ProcessTree(child.pid!), library);
  const looks = setInterval(() => watcher.look(), kLookMs);
  const end = setTimeout(() => killGroup(child, "SIGTERM"), seconds * 1000);
  const kill = setTimeout(() => killGroup(child, "SIGKILL"), seconds * 1000 + kEndMs);
  await new Promise((resolve) => child.once("exit", resolve));
  clearInterval(looks);
  clearTimeout(end);
  clearTimeout(kill);
  // What it left behind is not to run on.
  killGroup(child, "SIGKILL");
  return { witnesses: readWitnesses(file), without: watcher.without };
}

interface Verdict {
  holds: boolean;
  text: string;
}

/** The reason that the file gives, or the only one that is left. */
function reasonOf(program: string, library: string): string {
  if (!isReadable(program)) return "its file cannot be read";
  return (
    whyNot(program, library) ??
    "the loader did not preload the library: it may have file capabilities, or have ended before it was loaded"
  );
}

/** Those that were seen without the library and are not known to have it: a machine that is busy lets one look in before. */
function seenWithout({ without, witnesses }: Sighting): [pid: number, program: string][] {
  return [...without].filter(
    ([pid, program]) => !witnesses.some((each) => each.pid === pid && each.program === program),
  );
}

/** What a process of the command started that runs on something else. */
function othersText(sighting: Sighting, pid: number, library: string): string {
  const others = seenWithout(sighting)
    .filter(([other]) => other !== pid)
    .map(([, program]) => program);
  const withOwn = sighting.witnesses
    .filter((witness) => witness.pid !== pid && !runsOn(witness, library))
    .map(({ program }) => program);
  const names = [...new Set([...others, ...withOwn].map((program) => basename(program)))];
  return names.length === 0 ? "" : `; of what it started these do not: ${names.join(", ")}`;
}

function runsOn({ hasMalloc, program }: Witness, library: string): boolean {
  return hasMalloc && !(isReadable(program) && whyNot(program, library) !== undefined);
}

function judge(sighting: Sighting, pid: number, path: string, library: string): Verdict {
  const no = (program: string, reason: string) => ({ holds: false, text: `${program} does not run on it: ${reason}` });
  const witness = sighting.witnesses.filter((each) => each.pid === pid).at(-1);
  const other = seenWithout(sighting).find(([seen]) => seen === pid)?.[1];
  if (other !== undefined) return no(other, reasonOf(other, library));
  if (witness === undefined) {
    const program = realPath(programBehind(path));
    return no(program, reasonOf(program, library));
  }
  // Without /proc the library does not know its program's name.
  const program = witness.program === "" ? realPath(programBehind(path)) : witness.program;
  if (!witness.hasMalloc) return no(program, "it has a malloc of its own, which comes before any library's");
  if (!runsOn(witness, library)) return no(program, reasonOf(program, library));
  return { holds: true, text: `${program} runs on ${library}${othersText(sighting, pid, library)}` };
}

/** What is said where the system refuses to begin: the loader of another C library may be what is missing. */
function cannotRunText(path: string, error: Error, library: string): string {
  const program = realPath(programBehind(path));
  const reason = isReadable(program) ? whyNot(program, library) : undefined;
  return reason === undefined ? `${path} cannot be run: ${error.message}` : `${program} does not run on it: ${reason}`;
}

/** The environment of the command as Node.js takes it. */
function processEnvironment(library: string, file: string): NodeJS.ProcessEnv {
  const entries = environmentOn(library, startedWith(), { PAGERUN_WITNESS_FILE: file });
  return Object.fromEntries(
    entries.map((entry) => {
      const text = Buffer.from(entry, "latin1").toString();
      const at = text.indexOf("=");
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

async function verify(path: string, args: readonly string[], seconds: number): Promise<Verdict> {
  const library = realPath(ownLibraryPath());
  const folder = makeWorkFolder("verify");
  const file = join(folder, "witnesses");
  try {
    writeFileSync(file, "");
    const child = spawn(path, args, {
      env: processEnvironment(library, file),
      stdio: "ignore",
      detached: true,
    });
    const error = await new Promise<Error | undefined>((resolve) => {
      child.once("spawn", () => resolve(undefined));
      child.once("error", resolve);
    });
    if (error !== undefined) return { holds: false, text: cannotRunText(path, error, library) };
    return judge(await observe(child, library, file, seconds), child.pid!, path, library);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface VerifyOptions {
  seconds: number;
  command: readonly string[];
}

/** The options, or what is wrong with them. */
function readOptions(args: readonly string[]): VerifyOptions | string {
  let seconds = kDefaultSeconds;
  let at = 0;
  for (; args[at]?.startsWith("-") && args[at] !== "--"; at++) {
    const [, inWord] = /^--seconds(?:=(.*))?$/.exec(args[at]!) ?? [undefined, null];
    if (inWord === null) return `There is no option ${args[at]}.`;
    const given = inWord ?? args[++at] ?? "";
    seconds = Number(given);
    if (!/^\d+(\.\d+)?$/.test(given) || seconds <= 0 || seconds > kMaxSeconds)
      return `Expected more than 0 and at most ${kMaxSeconds} for --seconds but received ${JSON.stringify(given)}.`;
  }
  if (args[at] === "--") at++;
  return at < args.length ? { seconds, command: args.slice(at) } : "Expected a command.";
}

/** Runs the command and prints the verdict; 0 when it runs on the library, else 1. */
export async function verifyCommand(args: readonly string[]): Promise<number> {
  if (args[0] === "--help" || args[0] === "-h") {
    process.stdout.write(kHelp);
    return 0;
  }
  const options = readOptions(args);
  if (typeof options === "string") {
    process.stderr.write(`pagerun: ${options} "pagerun verify --help" tells how to use it.\n`);
    return kUsageExit;
  }
  const [command = "", ...rest] = options.command;
  const path = findExecutable(command);
  try {
    const { holds, text } =
      path === undefined
        ? { holds: false, text: `${command} was not found, or cannot be executed` }
        : await verify(path, rest, options.seconds);
    process.stdout.write(`pagerun: ${holds ? "yes" : "no"}: ${text}\n`);
    return holds ? 0 : 1;
  } catch (error) {
    process.stdout.write(`pagerun: no: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}
