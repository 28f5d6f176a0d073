// The command `npm run bench:record`: runs a program under the recorder and makes a compressed trace of it.
// Owns the steps and the exit code; the recorder and the conversion are C++ (bench/native).
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants as osConstants, tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { formatMebibytes } from "#figures/format.js";
import { kExitFailure, kExitUsage, UsageError } from "./options.js";
import { kRecordHelp, parseRecordOptions, type RecordOptions } from "./record-options.js";

const kRoot = resolve(fileURLToPath(new URL("../..", import.meta.url)));
const kRecorder = join(kRoot, "build", "Release", "librecorder.so");
const kBenchProgram = join(kRoot, "build", "Release", "pagerun_bench");

const kExitNoCommand = 127;
/** Nearly as small as the best, in a tenth of its time. */
const kBrotliQuality = 9;
const kBrotliWindow = 24;

/** What `pagerun_bench convert` says of a trace. */
interface TraceInfo {
  program: string;
  command: string;
  events: number;
  threads: number;
  blocks: number;
  peak_live_bytes: number;
  malloc: number;
  calloc: number;
  aligned: number;
  realloc: number;
  free: number;
}

/** Runs the command under the recorder, with our own terminal; resolves with its exit code as a shell would give it. */
function runRecorded([program = "", ...args]: readonly string[], directory: string): Promise<number> {
  const preload = process.env.LD_PRELOAD ? `${kRecorder}:${process.env.LD_PRELOAD}` : kRecorder;
  const child = spawn(program, args, {
    stdio: "inherit",
    env: { ...process.env, LD_PRELOAD: preload, PAGERUN_RECORD: directory },
  });
  return new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (code, signal) => done(code ?? 128 + (signal ? osConstants.signals[signal] : 0)));
  });
}

function compress(path: string): Buffer {
  const bytes = readFileSync(path);
  return brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: kBrotliQuality,
      [constants.BROTLI_PARAM_LGWIN]: kBrotliWindow,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}

function convert(options: RecordOptions, raw: string, directory: string): { info: TraceInfo; bytes: Buffer } {
  const trace = join(directory, "recorded.trace");
  const limit = options.maxEvents === undefined ? [] : ["--max-events", String(options.maxEvents)];
  const output = execFileSync(kBenchProgram, ["convert", raw, trace, "--name", options.name, ...limit], {
    encoding: "utf8",
  });
  return { info: JSON.parse(output.trim().split("\n").at(-1) ?? "") as TraceInfo, bytes: compress(trace) };
}

function describe(info: TraceInfo, options: RecordOptions, size: number): string {
  const calls = (["malloc", "calloc", "aligned", "realloc", "free"] as const)
    .filter((operation) => info[operation] > 0)
    .map((operation) => `${info[operation].toLocaleString("en")} ${operation}`);
  const path = relative(process.cwd(), options.out);
  return [
    `recorded ${info.program} (${info.command})`,
    `  ${info.events.toLocaleString("en")} calls on ${info.threads} ${info.threads === 1 ? "thread" : "threads"}: ${calls.join(", ")}`,
    `  at most ${formatMebibytes(info.peak_live_bytes)} MiB live; ${info.blocks.toLocaleString("en")} blocks`,
    `trace: ${path} (${(size / 1024).toFixed(0)} KiB)`,
    `replay it with: npm run bench -- --suite traces --trace ${path}`,
  ].join("\n");
}

async function record(options: RecordOptions): Promise<number> {
  const absent = [kRecorder, kBenchProgram].filter((file) => !existsSync(file));
  if (absent.length > 0) throw new UsageError(`${absent.join(", ")} is not there. Run "npm run build" first.`);
  const directory = mkdtempSync(join(tmpdir(), "pagerun-record-"));
  // Control-C ends the recorded program, a server for example; what it did is kept.
  process.on("SIGINT", () => undefined);
  try {
    const raw = join(directory, "raw");
    mkdirSync(raw);
    const code = await runRecorded(options.command, raw).catch((error: Error) => {
      process.stderr.write(`bench:record: ${options.command[0]} cannot be started: ${error.message}\n`);
      return undefined;
    });
    if (code === undefined) return kExitNoCommand;
    if (code !== 0)
      process.stderr.write(`bench:record: the command ended with ${code}; what it did until then is kept\n`);
    if (readdirSync(raw).length === 0) {
      process.stderr.write(
        `bench:record: ${options.command[0]} made no call of malloc that could be recorded. Is it linked statically, or set-user-id?\n`,
      );
      return kExitFailure;
    }
    const { info, bytes } = convert(options, raw, directory);
    mkdirSync(dirname(resolve(options.out)), { recursive: true });
    writeFileSync(options.out, bytes);
    process.stdout.write(`${describe(info, options, bytes.length)}\n`);
    return 0;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<number> {
  try {
    const options = parseRecordOptions(process.argv.slice(2), join(kRoot, "bench", "traces", "local"));
    if (!options.help) return await record(options);
    process.stdout.write(`${kRecordHelp}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`bench:record: ${(error as Error).message}\n`);
    return error instanceof UsageError ? kExitUsage : kExitFailure;
  }
}

process.exitCode = await main();
