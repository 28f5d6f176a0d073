// Arenas in the hardened profile, and the secure arena, live: what the kernel says of its memory, and what is left of it.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import koffi from "koffi";
import { Arena, copyIn, copyOut, free, malloc, residentPages, SecureArena, unchecked, usableSize, view } from "pagerun";
import { describe, expect, test } from "vitest";
import { compile } from "../preload/programs.js";
import { root } from "../structure/tree.js";
import { codeOf, isOwnHeap, verifyAfterEach } from "../support/heap.js";

verifyAfterEach();

/** A sanitizer locks nothing, and ends what faults in its own way. */
const canLock = process.env.PAGERUN_TEST_SANITIZER === undefined;

describe("an arena in the hardened profile", () => {
  test("tells the size that was asked for, and stands beside arenas that do not", () => {
    using arena = new Arena({ profile: "hardened" });
    using plain = new Arena({ profile: "fast" });
    for (const size of [1, 24, 100, 1000, 5000, 100_000]) {
      expect(usableSize(arena.malloc(size))).toBe(size);
      expect(usableSize(plain.malloc(size))).toBeGreaterThanOrEqual(size);
    }
  });

  test("finds a byte written behind a block, by its own free and by the global one", () => {
    using arena = new Arena({ profile: "hardened" });
    for (const size of [1, 16, 31, 32, 100, 5000, 100_000]) {
      const ptr = arena.malloc(size);
      const behind = ptr + BigInt(size);
      const before = unchecked.getUint8(behind, 0);
      unchecked.setUint8(behind, 0, 0x41);
      expect(codeOf(() => arena.free(ptr))).toBe("ERR_WRITE_PAST_END");
      expect(codeOf(() => free(ptr))).toBe("ERR_WRITE_PAST_END");
      expect(codeOf(() => arena.realloc(ptr, size + 1))).toBe("ERR_WRITE_PAST_END");
      unchecked.setUint8(behind, 0, before);
      arena.free(ptr);
      expect(codeOf(() => arena.free(ptr))).toBe("ERR_DOUBLE_FREE");
    }
  });

  // In a process that is all on this heap, C finds it as well, and says so as C does.
  test.runIf(isOwnHeap)(
    "finds a write to a freed block when its place is asked for again, and never hands it out",
    () => {
      using arena = new Arena({ profile: "hardened" });
      const ptr = arena.malloc(100);
      arena.view(ptr, 100).fill(1);
      arena.free(ptr);
      expect(unchecked.getUint8(ptr, 0)).toBe(0);
      unchecked.setUint8(ptr + 50n, 0, 1);
      const takeAll = () => {
        for (let count = 0; count < 5000; count++) expect(arena.malloc(100)).not.toBe(ptr);
      };
      expect(codeOf(takeAll)).toBe("ERR_WRITE_AFTER_FREE");
      for (let count = 0; count < 5000; count++) expect(arena.malloc(100)).not.toBe(ptr);
    },
  );

  test("counts what is freed at once, and gives room under the limit for it", () => {
    using arena = new Arena({ profile: "hardened", limit: 1024 });
    for (let count = 0; count < 1000; count++) arena.free(arena.malloc(800));
    expect(arena.used).toBe(0);
  });
});

/** The flags of the mapping that holds the address, as the kernel tells them. */
function flagsAt(ptr: bigint): string[] {
  const maps = readFileSync("/proc/self/smaps", "utf8").split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  const map = maps.find((text) => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(text) ?? [];
    return ptr >= BigInt(`0x${from}`) && ptr < BigInt(`0x${to}`);
  });
  return (
    /VmFlags: (.*)/
      .exec(map ?? "")?.[1]
      ?.trim()
      .split(" ") ?? []
  );
}

describe("a secure arena", () => {
  test.runIf(canLock)("is locked, left out of core dumps and of forked children, as the kernel says", () => {
    using arena = new SecureArena({ limit: 5000 });
    expect(arena.limit).toBe(8192);
    const ptr = arena.malloc(32);
    expect(flagsAt(ptr)).toEqual(expect.arrayContaining(["rd", "wr", "lo", "dd", "dc"]));
    expect([...residentPages(ptr, 8192)]).toEqual([1, 1]);
    for (const guard of [ptr - 1n, ptr + 8192n]) expect(flagsAt(guard)).not.toContain("rd");
  });

  test("is not there in a forked child, whereas other memory is", () => {
    const library = koffi.load(compile("forked.c", ["-shared"]));
    const inChild = library.func("int in_child(void *at)") as (ptr: bigint) => number;
    const [there, notThere] = [0, 1];
    using arena = new SecureArena();
    const key = arena.malloc(32);
    arena.view(key, 32).fill(7);
    const other = malloc(32);
    expect(inChild(other)).toBe(there);
    expect(inChild(key)).toBe(notThere);
    arena.seal();
    expect(inChild(key)).toBe(notThere);
    expect(copyOut(key, 32)[31]).toBe(7);
    arena.unseal();
    expect(inChild(key)).toBe(notThere);
    free(other);
    library.unload();
  });

  test("hands out blocks that do not touch, up to its limit, and clears them", () => {
    using arena = new SecureArena({ limit: 4096 });
    const blocks = Array.from({ length: 128 }, () => arena.malloc(20));
    expect(new Set(blocks).size).toBe(128);
    expect(arena.used).toBe(4096);
    expect(codeOf(() => arena.malloc(1))).toBe("ERR_ARENA_LIMIT");
    for (const ptr of blocks) arena.view(ptr, 20).fill(7);
    arena.free(blocks[5]!);
    expect(copyOut(blocks[5]!, 32).every((byte) => byte === 0)).toBe(true);
    expect(copyOut(blocks[6]!, 20).every((byte) => byte === 7)).toBe(true);
    expect(arena.malloc(32)).toBe(blocks[5]);
    expect(codeOf(() => arena.free(blocks[7]! + 1n))).toBe("ERR_INTERIOR_POINTER");
    expect(codeOf(() => arena.free(malloc(0)))).toBe("ERR_FOREIGN_POINTER");
    arena.free(blocks[7]!);
    expect(codeOf(() => arena.free(blocks[7]!))).toBe("ERR_FOREIGN_POINTER");
  });

  test("is an ArrayBuffer, which ends with it", () => {
    const arena = new SecureArena();
    const { buffer } = arena;
    expect(buffer.byteLength).toBe(4096);
    new Uint8Array(buffer)[3] = 9;
    const ptr = arena.malloc(16);
    expect(arena.view(ptr, 4)[3]).toBe(9);
    arena.destroy();
    expect(buffer.byteLength).toBe(0);
    expect(codeOf(() => arena.malloc(1))).toBe("ERR_ARENA_DESTROYED");
    expect(codeOf(() => view(ptr, 1))).not.toBe("");
    arena.destroy();
  });

  test("sealed, it can be read and not written", () => {
    using arena = new SecureArena();
    const ptr = arena.malloc(16);
    const bytes = arena.view(ptr, 16).fill(3);
    arena.seal();
    expect(bytes.length).toBe(0);
    expect(copyOut(ptr, 16).every((byte) => byte === 3)).toBe(true);
    expect(flagsAt(ptr)).not.toContain("wr");
    for (const call of [
      () => arena.malloc(1),
      () => arena.free(ptr),
      () => arena.view(ptr, 1),
      () => copyIn(ptr, bytes),
    ])
      if (call !== undefined) expect(codeOf(call)).toBe("ERR_PROTECTED_PAGES");
    arena.unseal();
    expect(arena.view(ptr, 16)[15]).toBe(3);
    expect(flagsAt(ptr)).toEqual(expect.arrayContaining(["rd", "wr", "dd", "dc"]));
    arena.seal();
  });

  test.runIf(canLock)(
    "sealed, it stops whoever writes past all checks by a fault, and whoever leaves its pages always",
    () => {
      const endOf = (act: string) => {
        const program = `
        const { SecureArena, unchecked } = require(${JSON.stringify(root)});
        const arena = new SecureArena();
        const key = arena.malloc(4096);
        unchecked.setUint8(key, 0, 1);
        ${act}`;
        return spawnSync(process.execPath, ["-e", program], { encoding: "utf8" }).signal;
      };
      expect(endOf("unchecked.setUint8(key, 4095, 1);")).toBe(null);
      expect(endOf("arena.seal(); unchecked.getUint8(key, 4095);")).toBe(null);
      expect(endOf("arena.seal(); unchecked.setUint8(key, 0, 1);")).toBe("SIGSEGV");
      expect(endOf("unchecked.getUint8(key, 4096);")).toBe("SIGSEGV");
      expect(endOf("unchecked.getUint8(key - 1n, 0);")).toBe("SIGSEGV");
    },
  );

  test.runIf(canLock)("is refused where the process may not lock so much, and leaves nothing behind", () => {
    const program = `
      const { SecureArena, snapshot } = require(${JSON.stringify(root)});
      const small = new SecureArena({ limit: 16384 });
      const before = snapshot().ranges.length;
      try {
        new SecureArena({ limit: 1 << 20 });
      } catch (error) {
        console.log(error.code, error.limit, snapshot().ranges.length - before);
      }
      small.view(small.malloc(16), 16).fill(1);`;
    const limited = 'ulimit -l 64; exec "$0" "$@"';
    const drop = process.getuid?.() === 0 ? ["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock"] : [];
    const command = [...drop, "bash", "-c", limited, process.execPath, "-e", program];
    const { stdout, stderr } = spawnSync(command[0]!, command.slice(1), { encoding: "utf8" });
    expect({ stdout, stderr }).toEqual({ stdout: "ERR_LOCK_LIMIT 65536 0\n", stderr: "" });
  });

  test("options are checked before anything is made", () => {
    for (const limit of [0, -1, 1.5, "1", null]) {
      expect(codeOf(() => new SecureArena({ limit: limit as number }))).toBe("ERR_INVALID_ARGUMENT");
    }
    for (const options of [null, 1]) {
      expect(codeOf(() => new SecureArena(options as unknown as object))).toBe("ERR_INVALID_ARGUMENT");
    }
  });
});
