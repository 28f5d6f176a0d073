// The subcommand `lesson`: its options, and which of its forms is run. Owns the exit codes and what is printed around.
// Thread rule: called once, on the main thread.
import { parseArgs } from "node:util";
import { lessonMarkdown } from "./document.js";
import { serveLesson } from "./server.js";
import { steps } from "./steps.js";
import { printAll, type Screen, walk } from "./terminal-walk.js";

export const lessonHelp = `pagerun lesson: how malloc works, step by step, on real heaps

  pagerun lesson              in the terminal: Enter goes on, b goes back, q ends; all steps at once where the
                              output or the input is no terminal
  pagerun lesson --browser    as a page: prints an address on this machine, which ends with Control-C
    --port N                  the port to serve on (default: one that is free)
  pagerun lesson --markdown   all steps as a document, on standard output
  pagerun lesson --all        all steps at once, in a terminal too`;

const mostPort = 65_535;

class LessonUsageError extends Error {}

function readFlags(args: readonly string[]) {
  const flag = { type: "boolean", default: false } as const;
  const options = { browser: flag, markdown: flag, all: flag, help: { ...flag, short: "h" }, port: { type: "string" } };
  try {
    return parseArgs({ args: [...args], options: options as typeof options & { port: { type: "string" } } }).values;
  } catch (error) {
    throw new LessonUsageError((error as Error).message);
  }
}

function portFrom(given: string | undefined): number {
  if (given === undefined) return 0;
  const port = Number(given);
  if (/^\d+$/.test(given) && port <= mostPort) return port;
  throw new LessonUsageError(`Expected a port from 0 to ${mostPort} for --port but received "${given}"`);
}

function screenOf(stream: NodeJS.WriteStream): Screen {
  return {
    columns: stream.columns ?? 100,
    hasColours: Boolean(stream.isTTY) && !process.env.NO_COLOR,
    write: (text) => {
      stream.write(text);
    },
  };
}

async function browse(port: number): Promise<void> {
  const server = await serveLesson(steps, port);
  process.stdout.write(`The lesson is at ${server.url}\nControl-C ends it.\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  await server.close();
}

async function run(args: readonly string[]): Promise<void> {
  const flags = readFlags(args);
  const port = portFrom(flags.port);
  if (flags.port !== undefined && !flags.browser)
    throw new LessonUsageError("Expected --browser where --port is given");
  if (flags.help) process.stdout.write(`${lessonHelp}\n`);
  else if (flags.browser) await browse(port);
  else if (flags.markdown) process.stdout.write(lessonMarkdown(steps));
  else if (flags.all || !process.stdout.isTTY || !process.stdin.isTTY) printAll(steps, screenOf(process.stdout));
  else await walk(steps, screenOf(process.stdout), process.stdin);
}

/** Runs the subcommand; resolves to the exit code. */
export async function lessonCommand(args: readonly string[]): Promise<number> {
  try {
    await run(args);
    return 0;
  } catch (error) {
    process.stderr.write(`pagerun lesson: ${(error as Error).message}\n`);
    return error instanceof LessonUsageError ? 2 : 1;
  }
}
