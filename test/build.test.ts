// Both build files make the same thing: each result loads and passes the same smoke test, on its own and preloaded.
// The build of node-gyp is the one in build/Release; that of cmake-js is made here, in a folder of its own, and so is a
// library whose default is the hardened profile.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { cmakeJs } from "./tools/native-build.js";
import { root } from "./tools/steps.js";

const cmakeFolder = "build-test/cmake";
const builds = [
  { name: "node-gyp", folder: `${root}/build/Release` },
  { name: "cmake-js", folder: `${root}/${cmakeFolder}/Release` },
];

interface SmokeReport {
  /** Files of ours that are mapped into the process. */
  mapped: string[];
  stats: { liveBlocks: number };
}

function execute(program: string, args: string[], env: Record<string, string> = {}): string {
  return execFileSync(program, args, { cwd: root, encoding: "utf8", env: { ...process.env, ...env }, timeout: 60_000 });
}

function smoke(env: Record<string, string>): SmokeReport {
  return JSON.parse(execute(process.execPath, ["test/tools/smoke.mjs"], env)) as SmokeReport;
}

/** The symbols that a shared object shows to others. */
function symbolsOf(file: string): string[] {
  const lines = execute("nm", ["--dynamic", "--defined-only", "--format=posix", file]).trim().split("\n");
  return lines.map((line) => line.split(" ")[0] as string).sort();
}

beforeAll(async () => {
  const { code, output } = await cmakeJs(cmakeFolder);
  if (code !== 0) throw new Error(output);
}, 600_000);

describe.each(builds)("the build of $name", ({ folder }) => {
  const addon = `${folder}/pagerun.node`;
  const library = `${folder}/libpagerun.so`;

  test.each(["pagerun.node", "libpagerun.so", "librecorder.so", "libtextbook.so", "pagerun_bench"])(
    "makes %s",
    (name) => {
      expect(existsSync(`${folder}/${name}`)).toBe(true);
    },
  );

  test("its addon passes the smoke test", () => {
    expect(smoke({ PAGERUN_NODE_PATH: addon, LD_PRELOAD: "" }).mapped).toEqual([addon]);
  });

  test("with its library preloaded the smoke test passes on the heap of the whole process", () => {
    const report = smoke({ PAGERUN_NODE_PATH: addon, LD_PRELOAD: library });
    expect(report.mapped).toEqual([library, addon].sort());
    expect(report.stats.liveBlocks).toBeGreaterThan(1000);
  });

  test("its library runs programs that know nothing of it", () => {
    const env = { LD_PRELOAD: library };
    expect(execute("bash", ["-c", "x=$(seq 1 2000 | sort -n | tail -1); echo $x"], env)).toBe("2000\n");
    expect(execute("python3", ["-c", "print(sum(len(str(i) * 9) for i in range(100000)))"], env)).toBe("4400010\n");
    expect(execute(process.execPath, ["-p", "Buffer.alloc(1e6, 1).reduce((a, b) => a + b)"], env)).toBe("1000000\n");
  });

  test("its library is really the malloc of a program that it is preloaded into", () => {
    const maps = execute("cat", ["/proc/self/maps"], { LD_PRELOAD: library });
    expect(maps).toContain(library);
    expect(maps).not.toContain("[heap]");
  });

  test("its addon shows no symbol but those that Node asks for", () => {
    const shown = symbolsOf(addon).filter((symbol) => symbol !== "_init" && symbol !== "_fini");
    expect(shown).toEqual(["napi_register_module_v1", "node_api_module_get_api_version_v1"]);
  });
});

describe("the two builds", () => {
  test.each(["pagerun.node", "libpagerun.so", "librecorder.so", "libtextbook.so"])(
    "show the same symbols in %s",
    (name) => {
      const [first, second] = builds.map(({ folder }) => symbolsOf(`${folder}/${name}`));
      expect(first).toEqual(second);
      expect(first?.length).toBeGreaterThan(0);
    },
  );

  test("malloc, free and operator new of the library are shown", () => {
    const symbols = symbolsOf(`${root}/build/Release/libpagerun.so`);
    expect(symbols).toEqual(expect.arrayContaining(["malloc", "calloc", "realloc", "free", "_Znwm", "_ZdlPv"]));
  });
});

describe("a build whose default is the hardened profile", () => {
  const folder = "build-test/hardened";
  const library = `${root}/${folder}/Release/libpagerun.so`;

  /** How a program ends that writes a byte behind a block and frees it, which only the hardened profile finds. */
  function endOfOverflow(env: Record<string, string>): { signal: string | null; stderr: string } {
    const { PAGERUN_PROFILE: _, ...rest } = process.env;
    const program = `${root}/build/Release/pagerun_misuse`;
    const options = { env: { ...rest, LD_PRELOAD: library, ...env }, encoding: "utf8", timeout: 60_000 } as const;
    const { signal, stderr } = spawnSync(program, ["overflow-by-one-50"], options);
    return { signal, stderr };
  }

  beforeAll(async () => {
    const { code, output } = await cmakeJs(folder, { PAGERUN_DEFAULT_PROFILE: "hardened" }, "pagerun_preload");
    if (code !== 0) throw new Error(output);
  }, 600_000);

  test("starts hardened where nothing is said", () => {
    const { signal, stderr } = endOfOverflow({});
    expect(signal).toBe("SIGABRT");
    expect(stderr).toMatch(/^pagerun: write past the end of 0x[0-9a-f]+ in free /);
  });

  test("is fast where that is asked for", () => {
    expect(endOfOverflow({ PAGERUN_PROFILE: "fast" })).toEqual({ signal: null, stderr: "" });
  });

  test("names the profiles when another one is asked of the build", async () => {
    const { code, output } = await cmakeJs("build-test/none", { PAGERUN_DEFAULT_PROFILE: "slow" }, "pagerun_preload");
    expect(code).not.toBe(0);
    expect(output).toContain("PAGERUN_DEFAULT_PROFILE must be fast or hardened, not 'slow'");
  });
});
