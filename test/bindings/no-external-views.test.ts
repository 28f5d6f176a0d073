// Runtimes that allow no ArrayBuffers over memory of others: view says so by a code of its own, copies work.
import { spawnSync } from "node:child_process";
import { afterEach, describe, expect, test, vi } from "vitest";
import { kinds, megabyte, verifyAfterEach } from "../support/heap.js";
import { mappedRanges } from "../support/maps.js";

verifyAfterEach();

afterEach(() => {
  vi.unstubAllEnvs();
  vi.doUnmock("../../lib/native/binding.js");
  vi.resetModules();
});

/** Without Block: a class of another copy is another class. */
type Package = Omit<typeof import("pagerun"), "Block" | "alloc">;
type Native = typeof import("../../lib/native/binding.js");

/** The package, loaded anew with an environment variable set. */
async function loadedWith(value: string): Promise<Package> {
  vi.resetModules();
  vi.stubEnv("PAGERUN_EXTERNAL_VIEWS", value);
  return import("pagerun");
}

/** The package over an addon that differs in some functions, as another runtime would make them. */
async function loadedOver(differences: Partial<Native["binding"]>): Promise<Package> {
  vi.resetModules();
  vi.doMock("../../lib/native/binding.js", async (importOriginal) => {
    const original = await importOriginal<Native>();
    return { ...original, binding: { ...original.binding, ...differences } };
  });
  return import("../../lib/index.js") as unknown as Promise<Package>;
}

function expectArenaWithoutViews({ Arena, copyIn, copyOut }: Package): void {
  const arena = new Arena({ limit: 1000 });
  const ptr = arena.malloc(100);
  expect(() => arena.view(ptr, 100)).toThrow(expect.objectContaining({ code: "ERR_EXTERNAL_VIEWS_UNSUPPORTED" }));
  copyIn(ptr, new Uint8Array(100).fill(9));
  expect(copyOut(ptr, 100)[99]).toBe(9);
  arena.destroy();
}

function expectCopiesOnly(pagerun: Package): void {
  const { capabilities, view, malloc, free, copyIn, copyOut, realloc, usableSize } = pagerun;
  expect(capabilities.externalViews).toBe(false);
  expectArenaWithoutViews(pagerun);
  for (const { size } of kinds) {
    let ptr = malloc(size);
    expect(() => view(ptr, size)).toThrow(
      expect.objectContaining({ code: "ERR_EXTERNAL_VIEWS_UNSUPPORTED", ptr, length: size }),
    );
    copyIn(ptr, new Uint8Array(size).fill(size & 0xff));
    expect(copyOut(ptr + BigInt(size - 1), 1)[0]).toBe(size & 0xff);
    ptr = realloc(ptr, size + 1);
    expect(copyOut(ptr, 1)[0]).toBe(size & 0xff);
    expect(() => copyOut(ptr, usableSize(ptr) + 1)).toThrow(expect.objectContaining({ code: "ERR_OUT_OF_BOUNDS" }));
    free(ptr);
  }
}

describe("PAGERUN_EXTERNAL_VIEWS=0", () => {
  test("makes pagerun behave as in a runtime without external ArrayBuffers", async () => {
    expectCopiesOnly(await loadedWith("0"));
  });

  test("still tells bad arguments and bounds first", async () => {
    const { view, malloc, free } = await loadedWith("0");
    const ptr = malloc(16);
    expect(() => view(ptr, -1)).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
    expect(() => view(ptr, 10_000)).toThrow(expect.objectContaining({ code: "ERR_OUT_OF_BOUNDS" }));
    expect(() => view(8n, 8)).toThrow(expect.objectContaining({ code: "ERR_FOREIGN_POINTER" }));
    free(ptr);
  });

  test("is what a process takes from its environment", () => {
    const program = `
      import { capabilities, malloc, view } from "pagerun";
      try { view(malloc(8), 8) } catch (error) { console.log(capabilities.externalViews, error.code) }`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      encoding: "utf8",
      env: { ...process.env, PAGERUN_EXTERNAL_VIEWS: "0" },
    });
    expect(stderr).toBe("");
    expect(stdout).toBe("false ERR_EXTERNAL_VIEWS_UNSUPPORTED\n");
  });
});

test.each(["1", ""])("PAGERUN_EXTERNAL_VIEWS=%s leaves views on", async (value) => {
  const { capabilities, view, malloc, free } = await loadedWith(value);
  expect(capabilities.externalViews).toBe(true);
  const ptr = malloc(8);
  expect(view(ptr, 8)).toHaveLength(8);
  free(ptr);
});

describe("a runtime without external ArrayBuffers", () => {
  test("is known when the package is loaded", async () => {
    expectCopiesOnly(await loadedOver({ hasExternalBuffers: false }));
  });

  test("that refuses only later has the same error for views of every kind", async () => {
    const { view, malloc, free, copyOut } = await loadedOver({
      stretchBuffer: () => null,
      blockBuffer: () => null,
    });
    for (const size of [64, 6 * megabyte, 64 * megabyte]) {
      const ptr = malloc(size);
      expect(() => view(ptr, size)).toThrow(expect.objectContaining({ code: "ERR_EXTERNAL_VIEWS_UNSUPPORTED" }));
      expect(copyOut(ptr, 8)).toHaveLength(8);
      free(ptr);
    }
  });
});

test("a block that another thread frees while its view is made is out of bounds", async () => {
  const { view, malloc, free } = await loadedOver({ stretchBuffer: () => undefined, blockBuffer: () => undefined });
  for (const size of [64, 6 * megabyte, 64 * megabyte]) {
    const ptr = malloc(size);
    expect(() => view(ptr, size)).toThrow(expect.objectContaining({ code: "ERR_OUT_OF_BOUNDS", available: undefined }));
    free(ptr);
  }
});

test("capabilities cannot be changed by a program", async () => {
  const { capabilities } = await import("pagerun");
  expect(Object.isFrozen(capabilities)).toBe(true);
  const isPreloaded = mappedRanges().some(({ name }) => name.endsWith("/libpagerun.so"));
  expect(capabilities).toEqual({
    externalViews: true,
    sharedViews: expect.any(Boolean),
    preloaded: isPreloaded,
  });
});
