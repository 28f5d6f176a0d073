// `pagerun <command>`: the program in the launcher's place, with all that is its own: arguments, streams, signals, exit code,
// process id, environment; and what is said when it cannot be run.
import { execFileSync, fork, spawn, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root } from "../tools/steps.js";
import { cli, library, pagerun, pagerunShell, plainEnvironment } from "./launch.js";

const folder = mkdtempSync(join(tmpdir(), "pagerun-run-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Prints 1 when the process has the library. */
const hasLibrary = "grep -c -m1 libpagerun.so /proc/self/maps";

describe("the program", () => {
  test("and what it starts run on the library", () => {
    const { stdout, status } = pagerunShell(`${hasLibrary}; sh -c '${hasLibrary}; ${hasLibrary}'`);
    expect({ stdout, status }).toEqual({ stdout: "1\n1\n1\n", status: 0 });
  });

  test.each([[["run"]], [["run", "--"]], [["--"]]])("is what stands behind %j", (before) => {
    expect(pagerun([...before, "sh", "-c", hasLibrary]).stdout).toBe("1\n");
  });

  test("gets its arguments unchanged, those that look like options or are empty included", () => {
    const args = ["--report", "", "a b", "-", "--", "*", '"', "\\", "ä→\u{1f410}", "\n", "$HOME"];
    const printed = pagerun(["node", "-e", "console.log(JSON.stringify(process.argv.slice(1)))", "--", ...args]).stdout;
    expect(JSON.parse(printed)).toEqual(args);
  });

  test("gets arguments and variables that are no UTF-8, byte by byte", () => {
    const line = `V="$(printf '\\376')" exec "$0" "$1" sh -c 'printf %s "$1$V"' sh "$(printf '\\377a\\200')"`;
    const { stdout } = spawnSync("sh", ["-c", line, process.execPath, cli], { env: plainEnvironment() });
    expect([...stdout]).toEqual([0xff, 0x61, 0x80, 0xfe]);
  });

  test("has the launcher's streams: what it reads and writes passes through no one", () => {
    const input = "x".repeat(300_000);
    const { stdout, stderr } = pagerun(["sh", "-c", "cat; echo done >&2"], { input });
    expect(stdout).toBe(input);
    expect(stderr).toBe("done\n");
    const { stdout: links } = pagerunShell("readlink /proc/self/fd/0", {});
    expect(links).toMatch(/^(pipe|socket):|^\/dev\/null/);
  });

  test("keeps the terminal", () => {
    const line = `'${process.execPath}' '${cli}' sh -c 'test -t 0 && test -t 1 && test -t 2 && echo a terminal'`;
    const { stdout } = spawnSync("script", ["-qec", line, "/dev/null"], { encoding: "utf8", env: plainEnvironment() });
    expect(stdout.trim()).toBe("a terminal");
  });

  test("keeps descriptors that are open", () => {
    const line = `exec "$0" "$1" sh -c 'echo to nine >&9' 9>&1`;
    const { stdout } = spawnSync("sh", ["-c", line, process.execPath, cli], {
      env: plainEnvironment(),
      encoding: "utf8",
    });
    expect(stdout).toBe("to nine\n");
  });

  test.each([0, 1, 3, 125, 255])("ends with its exit code %i", (code) => {
    expect(pagerunShell(`exit ${code}`)).toEqual({ status: code, signal: null, stdout: "", stderr: "" });
  });

  test.each(["SIGHUP", "SIGINT", "SIGKILL", "SIGSEGV", "SIGPIPE", "SIGTERM", "SIGUSR2"] as const)(
    "ends by %s when that ends it",
    (signal) => {
      expect(pagerunShell(`kill -${signal.slice(3)} $$`)).toMatchObject({ status: null, signal });
    },
  );

  test("gets every signal, in the launcher's own process, and finds none ignored or blocked", async () => {
    const program = join(folder, "signals");
    execFileSync("gcc", ["-O1", "-o", program, join(root, "test/cli/signals.c")]);
    const child = spawn(process.execPath, [cli, program], {
      env: plainEnvironment(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const next = async () => (await lines.next()).value as string;
    expect(await next()).toBe(`ready ${child.pid}`);
    const last = constants.signals.SIGTERM;
    const untouchable: number[] = [constants.signals.SIGKILL, constants.signals.SIGSTOP, last];
    const numbers = [...Object.values(constants.signals), 34, 64].filter((number) => !untouchable.includes(number));
    for (const number of [...new Set(numbers), last]) {
      process.kill(child.pid!, number);
      expect(await next()).toBe(String(number));
    }
    expect(await ended).toBe(7);
  });

  test("keeps its channel to a parent that forked it", async () => {
    const child = fork(cli, ["node", "-e", "process.on('message', (n) => { process.send(n + 1); process.exit(); })"], {
      env: plainEnvironment(),
      execArgv: [],
    });
    const answer = new Promise((resolve) => child.once("message", resolve));
    child.send(41);
    expect(await answer).toBe(42);
    await new Promise((resolve) => child.once("exit", resolve));
  });

  test("may be a cluster, whose workers run on the library too", () => {
    const program = `
      const cluster = require("node:cluster");
      const isOn = () => require("node:fs").readFileSync("/proc/self/maps", "utf8").includes("libpagerun.so");
      if (cluster.isPrimary) {
        console.log(isOn());
        for (let i = 0; i < 2; i++) cluster.fork().on("message", (on) => console.log(on));
      } else process.send(isOn(), () => process.exit());`;
    const file = join(folder, "cluster.cjs");
    writeFileSync(file, program);
    expect(pagerun(["node", file])).toMatchObject({ status: 0, stdout: "true\ntrue\ntrue\n" });
  });
});

test("a process manager starts it detached, and ends its group: the signal is its own", () => {
  const manager = `
    const { spawn } = require("node:child_process");
    const [file, ...args] = process.argv.slice(1);
    const child = spawn(file, args, { detached: true, stdio: ["ignore", "pipe", "inherit"] });
    child.stdout.once("data", (on) => { process.stdout.write(on); process.kill(-child.pid, "SIGINT"); });
    child.once("exit", (code, signal) => console.log(code, signal));`;
  const program = `${hasLibrary}; exec '${process.execPath}' -e 'setInterval(() => {}, 1000)'`;
  const args = ["-e", manager, process.execPath, cli, "sh", "-c", program];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env: plainEnvironment() });
  expect({ stdout, stderr }).toEqual({ stdout: "1\nnull SIGINT\n", stderr: "" });
});

describe("the environment", () => {
  test("is the caller's, NODE_OPTIONS included, but for what the library needs", () => {
    const env = { NODE_OPTIONS: "--max-old-space-size=64", OTHER: "a=b", EMPTY: "", PAGERUN_MARK_FD: "9" };
    const given = plainEnvironment(env);
    const { stdout } = pagerun(["env", "-0"], { env: given });
    const entries = stdout.split("\0").filter((entry) => entry !== "" && !entry.startsWith("_="));
    const added = ["LD_PRELOAD", "MALLOC_ARENA_MAX"];
    const kept = entries.filter((entry) => !added.includes(entry.split("=", 1)[0]!)).sort();
    const wanted = Object.entries(given).map(([name, value]) => `${name}=${value}`);
    expect(kept).toEqual(wanted.filter((entry) => !entry.startsWith("_=")).sort());
    expect(entries).toContain(`LD_PRELOAD=${library}`);
  });

  test("keeps what is preloaded already, behind the library, and holds the library once however often it is put there", () => {
    const env = { LD_PRELOAD: `libm.so.6 ${library}:/lib/../${library}` };
    expect(pagerunShell("echo $LD_PRELOAD", env).stdout).toBe(`${library}:libm.so.6\n`);
    expect(pagerun([process.execPath, cli, "sh", "-c", "echo $LD_PRELOAD"]).stdout).toBe(`${library}\n`);
  });

  test("has MALLOC_ARENA_MAX, by which sharp uses all cores, unless the user set it", () => {
    expect(pagerunShell("echo $MALLOC_ARENA_MAX").stdout).toMatch(/^[1-9]\d*\n$/);
    expect(pagerunShell("echo $MALLOC_ARENA_MAX", { MALLOC_ARENA_MAX: "2" }).stdout).toBe("2\n");
    expect(pagerunShell('echo "[$MALLOC_ARENA_MAX]"', { MALLOC_ARENA_MAX: "" }).stdout).toBe("[]\n");
  });

  test("has the options as variables, which come before those of the environment", () => {
    const options = ["--profile", "fast", "--on-misuse=report", "--purge-delay=250", "--stats-file", "x/%p.json"];
    const line = "echo $PAGERUN_PROFILE $PAGERUN_ON_MISUSE $PAGERUN_PURGE_DELAY; unset PAGERUN_STATS_FILE; exec true";
    const { stdout, stderr } = pagerunShell(line, { PAGERUN_PURGE_DELAY: "1" }, options.slice(0, 4));
    expect({ stdout, stderr }).toEqual({ stdout: "fast report 250\n", stderr: "" });
    const file = pagerun([...options, "sh", "-c", "echo $PAGERUN_STATS_FILE; kill -9 $$"], { cwd: folder }).stdout;
    expect(file).toBe(`${join(folder, "x/%p.json")}\n`);
  });

  test("reaches the library where its path has spaces", () => {
    const copy = join(folder, "a folder");
    mkdirSync(join(copy, "build/Release"), { recursive: true });
    for (const part of ["package.json", "dist/cjs", "build/Release/pagerun.node", "build/Release/libpagerun.so"]) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    const line = "grep -m1 -o 'a folder/.*libpagerun.so' /proc/self/maps; echo $LD_LIBRARY_PATH";
    const { stdout, stderr } = pagerun(["sh", "-c", line], {
      file: join(copy, "dist/cjs/cli.js"),
      env: plainEnvironment({ LD_LIBRARY_PATH: "/nowhere" }),
    });
    expect(stderr).toBe("");
    expect(stdout).toBe(`a folder/build/Release/libpagerun.so\n/nowhere:${join(copy, "build/Release")}\n`);
  });
});

describe("what cannot be done gets one line and an exit code of its own", () => {
  const script = join(folder, "not-executable");
  const broken = join(folder, "broken");
  beforeAll(() => {
    writeFileSync(script, "echo no\n");
    writeFileSync(broken, "#!/nowhere/interpreter\n");
    chmodSync(broken, 0o755);
  });

  test.each([
    ["a program that is not there", ["no-such-program"], 127, "no-such-program cannot be run: not found"],
    ["a path that is not there", ["/nowhere/x"], 127, "/nowhere/x cannot be run: not found"],
    ["an interpreter that is not there", [broken], 127, "cannot be run: not found"],
    ["a file that is not executable", [script], 126, "permission denied (EACCES)"],
    ["a folder", [folder], 126, "permission denied (EACCES)"],
    ["an empty name", [""], 127, "cannot be run: not found"],
    ["an option that is none", ["--nonsense", "true"], 125, "There is no option --nonsense."],
    ["a profile that is none", ["--profile", "safe", "true"], 125, "Expected fast or hardened for --profile"],
    ["a delay that is none", ["--purge-delay", "1.5", "true"], 125, "Expected 0 to 86400000 milliseconds"],
    ["a delay that is too long", ["--purge-delay=86400001", "true"], 125, "Expected 0 to 86400000 milliseconds"],
    ["a value that is missing", ["--profile"], 125, "Expected a value behind --profile."],
    ["a value where none belongs", ["--report=2", "true"], 125, "There is no option --report=2."],
    ["a file without a name", ["--stats-file=", "true"], 125, "Expected a path for --stats-file"],
    ["no command", ["run"], 125, "Expected a command."],
    ["no command behind options", ["--report"], 125, "Expected a command."],
  ])("%s", (_, args, status, message) => {
    const launched = pagerun(args);
    expect(launched).toMatchObject({ status, signal: null, stdout: "" });
    expect(launched.stderr).toContain(message);
    expect(launched.stderr).toMatch(/^pagerun: .*\n$/);
  });
});

describe("the command's other words", () => {
  test("path prints the library, and nothing else", () => {
    expect(pagerun(["path"])).toMatchObject({ status: 0, stdout: `${library}\n`, stderr: "" });
    expect(pagerun(["path", "extra"])).toMatchObject({ status: 2, stdout: "" });
  });

  test("--version prints the version", () => {
    const { version } = JSON.parse(execFileSync("cat", [join(root, "package.json")], { encoding: "utf8" }));
    expect(pagerun(["--version"])).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: "" });
  });

  test.each([["help"], ["--help"], ["-h"]])("%s tells of options and subcommands", (word) => {
    const { status, stdout } = pagerun([word]);
    expect(status).toBe(0);
    for (const told of [
      "--profile",
      "--report",
      "--purge-delay",
      "--stats-file",
      "verify",
      "path",
      "bench",
      "lesson",
    ]) {
      expect(stdout).toContain(told);
    }
  });

  test("a wrong value in the environment is said once: by the program, not by the launcher or what the program starts", () => {
    const env = { PAGERUN_PROFILE: "wrong", PAGERUN_NONE: "1" };
    const line = "/bin/true; sh -c '/bin/true; /bin/true'";
    const said = [
      "pagerun: PAGERUN_PROFILE=wrong is ignored: expected fast or hardened; it is now fast\n",
      "pagerun: PAGERUN_NONE is no setting of pagerun and is ignored\n",
    ];
    const { stderr } = pagerunShell(line, env);
    expect(stderr.match(/.*\n/g)?.sort()).toEqual(said.sort());
    const other = pagerunShell("PAGERUN_REPORT=x /bin/true", {}).stderr;
    expect(other).toBe("pagerun: PAGERUN_REPORT=x is ignored: expected 0 or 1; it is now 0\n");
  });
});
