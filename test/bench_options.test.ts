// The command lines of the bench and of its recorder, and what of the machine is read by text.
import { describe, expect, test } from "vitest";
import { findPreloadContenders, isProvidedBy, preloadEnvironment } from "../bench/contenders.js";
import { isWanted, parseOptions, UsageError } from "../bench/options.js";
import { parseRecordOptions } from "../bench/record-options.js";
import { runTrial, TooSlowError } from "../bench/trial.js";
import { describeLoad } from "../lib/figures/machine.js";
import { findPeer, kPeers, parseLoaderList } from "../lib/figures/peers.js";

describe("npm run bench", () => {
  test("without options runs all suites, five trials, within the limit of time", () => {
    expect(parseOptions([])).toMatchObject({
      suites: ["traces", "core", "js"],
      contenders: undefined,
      trials: 5,
      maxSeconds: 170,
      quick: false,
    });
  });

  test("suites may be repeated or listed, and keep their order", () => {
    expect(parseOptions(["--suite", "js,traces"]).suites).toEqual(["traces", "js"]);
    expect(parseOptions(["--suite", "js", "--suite", "core"]).suites).toEqual(["core", "js"]);
  });

  test("a number of trials lifts the limit of time, except with --quick", () => {
    expect(parseOptions(["--trials", "7"])).toMatchObject({ trials: 7, maxSeconds: undefined });
    expect(parseOptions(["--trials", "7", "--quick"]).maxSeconds).toBeLessThan(60);
    expect(parseOptions(["--trials", "7", "--max-seconds", "9"]).maxSeconds).toBe(9);
  });

  test("a C++ trial is shorter with --quick, and as long as is said", () => {
    expect(parseOptions(["--quick"]).trialSeconds).toBeLessThan(parseOptions([]).trialSeconds);
    expect(parseOptions(["--quick", "--trial-seconds", "0.3"]).trialSeconds).toBe(0.3);
    for (const wrong of ["0", "-1", "60", "long", ""]) {
      expect(() => parseOptions(["--trial-seconds", wrong])).toThrow(UsageError);
    }
  });

  test("the baseline is always wanted, others as named", () => {
    const options = parseOptions(["--contenders", "pagerun,koffi", "--so", "mine=/x.so"]);
    const wanted = ["libc", "napi-libc", "pagerun", "koffi", "mine", "jemalloc"].filter((name) =>
      isWanted(options, name),
    );
    expect(wanted).toEqual(["libc", "napi-libc", "pagerun", "koffi", "mine"]);
  });

  test.each([
    [["--suite", "cores"], "cores"],
    [["--contenders", "pagerun,malloc"], "malloc"],
    [["--contenders", ","], "--contenders"],
    [["--trials", "0"], '"0"'],
    [["--trials", "2.5"], '"2.5"'],
    [["--trials", "many"], '"many"'],
    [["--max-seconds", "-1"], "--max-seconds"],
    [["--so", "path.so"], "NAME=PATH"],
    [["--so", "libc=/x.so"], '"libc"'],
    [["--so", "a=/x.so", "--so", "a=/y.so"], '"a" twice'],
    [["--fast"], "--fast"],
    [["extra"], "extra"],
    [["--json"], "--json"],
  ])("%j is refused by name", (args, named) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(named);
  });

  test("a library given by path may be named among the contenders", () => {
    expect(parseOptions(["--so", "mine=/x.so", "--contenders", "mine"]).contenders).toEqual(["mine"]);
  });
});

describe("npm run bench:record", () => {
  const parse = (...args: string[]) => parseRecordOptions(args, "local");

  test("everything from the command on is the command's, flags included", () => {
    expect(parse("git", "log", "--name", "x")).toMatchObject({
      command: ["git", "log", "--name", "x"],
      name: "git",
      out: "local/git.trace.br",
    });
    expect(parse("--name", "mine", "--max-events", "10", "/usr/bin/git", "-h")).toMatchObject({
      command: ["/usr/bin/git", "-h"],
      name: "mine",
      maxEvents: 10,
    });
    expect(parse("--name=mine", "--", "git").command).toEqual(["git"]);
  });

  test("a command with odd letters still gives a name for a file", () => {
    expect(parse("./my tool").name).toBe("my-tool");
  });

  test("no command, an unknown flag and a wrong number are refused", () => {
    expect(() => parse()).toThrow(UsageError);
    expect(() => parse("--deep", "git")).toThrow(UsageError);
    expect(() => parse("--max-events", "none", "git")).toThrow(UsageError);
    expect(() => parse("--name", "a/b", "git")).toThrow(UsageError);
  });
});

describe("contenders by preload", () => {
  const list = [
    "2 libs found in cache",
    "\tlibtcmalloc_minimal_debug.so.4 (libc6,x86-64) => /lib/libtcmalloc_minimal_debug.so.4",
    "\tlibtcmalloc_minimal.so.4 (libc6,x86-64) => /lib/libtcmalloc_minimal.so.4",
    "\tlibmimalloc.so.2.0 (libc6,x86-64) => /lib/libmimalloc.so.2.0",
  ].join("\n");

  const kOwn = { library: "/x/libpagerun.so", version: "1", unchecked: () => "/x/unchecked.so" };

  test("are found in the loader's list, and not their debug builds", () => {
    const paths = parseLoaderList(list);
    const found = Object.fromEntries(kPeers.map((peer) => [peer.name, findPeer(peer, paths)]));
    expect(found).toEqual({
      jemalloc: undefined,
      mimalloc: "/lib/libmimalloc.so.2.0",
      tcmalloc: "/lib/libtcmalloc_minimal.so.4",
    });
  });

  test("that are not installed are named with their package, unless nobody asked for them", () => {
    const find = (...args: string[]) => findPreloadContenders(parseOptions(args), kOwn, parseLoaderList(list));
    expect(find().missing).toEqual([{ name: "jemalloc", hint: "apt-get install libjemalloc2" }]);
    expect(find("--contenders", "pagerun")).toEqual({
      found: [
        { name: "libc", library: undefined, version: expect.stringMatching(/^glibc \d/) },
        { name: "pagerun", library: "/x/libpagerun.so", version: "1" },
      ],
      missing: [],
    });
    expect(() => find("--so", "mine=/no/such.so")).toThrow(/\/no\/such\.so is not there/);
  });

  test("the teaching allocators are there only when they are named, and are one library with three names", () => {
    const find = (...args: string[]) => findPreloadContenders(parseOptions(args), kOwn, []).found;
    expect(find().map(({ name }) => name)).toEqual(["libc", "pagerun"]);
    const climb = find("--contenders", "libc,free-list,arenas,bucket-pages,pagerun");
    expect(climb.map(({ name }) => name)).toEqual(["libc", "free-list", "arenas", "bucket-pages", "pagerun"]);
    expect(climb.slice(1, 4).map(preloadEnvironment)).toEqual(
      ["free-list", "arenas", "bucket-pages"].map((kind) =>
        expect.objectContaining({ LD_PRELOAD: "/x/libtextbook.so", PAGERUN_TEXTBOOK: kind }),
      ),
    );
    expect(() => find("--so", "arenas=/x.so")).toThrow(/"arenas" is a contender already/);
  });

  test("the build without checks is made only when it is named", () => {
    let builds = 0;
    const find = (...args: string[]) => {
      const unchecked = () => `/x/unchecked.so${".".repeat(builds++)}`;
      return findPreloadContenders(parseOptions(args), { ...kOwn, unchecked }, []).found;
    };
    expect(find().map(({ name }) => name)).not.toContain("pagerun-unchecked");
    expect(builds).toBe(0);
    expect(find("--contenders", "pagerun,pagerun-unchecked").at(-1)).toEqual({
      name: "pagerun-unchecked",
      library: "/x/unchecked.so",
      version: "not for use",
    });
  });

  test("a trial that takes longer than its contender may is a finding, and ends at that time", async () => {
    const job = { suite: "core", workload: "w", contender: "c", kind: "time", environment: process.env } as const;
    const sleep = (seconds: string, mostSeconds?: number) =>
      runTrial({ ...job, program: "sleep", args: [seconds], ...(mostSeconds !== undefined && { mostSeconds }) });
    await expect(sleep("60", 0.1)).rejects.toThrow(TooSlowError);
    await expect(sleep("0", 60)).rejects.not.toThrow(TooSlowError);
  });

  test("libc is libc only when malloc comes from libc", () => {
    const libc = { name: "libc", library: undefined, version: "" };
    expect(isProvidedBy("/lib/x86_64-linux-gnu/libc.so.6", libc)).toBe(true);
    expect(isProvidedBy("/lib/x86_64-linux-gnu/libc-2.31.so", libc)).toBe(true);
    expect(isProvidedBy("/lib/libcmalloc.so", libc)).toBe(false);
    expect(isProvidedBy("/lib/libjemalloc.so.2", libc)).toBe(false);
  });
});

describe("the machine", () => {
  test("is called busy when programs run on half of its cores", () => {
    expect(describeLoad(1, 2)).toBeUndefined();
    expect(describeLoad(9.25, 2)).toMatch(/9\.3 programs run on its 2 cores/);
  });
});
