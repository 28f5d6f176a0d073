// What each step of the lesson shows, with the numbers of the notes, and that no step leaves anything behind.
import { memoryStats, TextbookHeap, verify } from "pagerun";
import { describe, expect, test } from "vitest";
import type {
  BarsPicture,
  BlocksPicture,
  DumpPicture,
  MapPicture,
  Piece,
  TablePicture,
} from "../../lib/lesson/picture.js";
import {
  answerFromLongBlock,
  answerHeartbeat,
  attackAll,
  leaksIn,
  secret,
  serverMemories,
  startServer,
  textbookMemory,
} from "../../lib/lesson/scene-heartbleed.js";
import { mappingLine } from "../../lib/lesson/scene-numbers.js";
import { steps } from "../../lib/lesson/steps.js";

function run(id: string): Piece[] {
  return steps.find((step) => step.id === id)!.run();
}

function picturesOf<Kind extends Piece["kind"]>(
  pieces: readonly Piece[],
  kind: Kind,
): Extract<Piece, { kind: Kind }>[] {
  return pieces.filter((piece): piece is Extract<Piece, { kind: Kind }> => piece.kind === kind);
}

describe("the steps", () => {
  test("are those of the notes, in their order", () => {
    expect(steps.map(({ id }) => id)).toEqual([
      "numbers",
      "malloc-5000",
      "split",
      "given-whole",
      "free",
      "merge",
      "one-lock",
      "arenas",
      "origin",
      "bucket-page",
      "core-page",
      "heartbleed",
    ]);
  });

  test.each(steps.map((step) => [step.title, step] as const))(
    "%s: has words and pictures, and leaves nothing behind",
    (_, step) => {
      step.run();
      const before = memoryStats();
      const pieces = step.run();
      expect(picturesOf(pieces, "text").length).toBeGreaterThan(0);
      expect(pieces.some(({ kind }) => kind !== "text" && kind !== "code")).toBe(true);
      expect(JSON.stringify(pieces, (_key, value) => (typeof value === "bigint" ? `${value}n` : value))).not.toMatch(
        /undefined|NaN/,
      );
      const { liveBlocks, mappingBytes } = memoryStats();
      expect({ liveBlocks, mappingBytes }).toEqual({
        liveBlocks: before.liveBlocks,
        mappingBytes: before.mappingBytes,
      });
      expect(verify()).toEqual({ ok: true });
    },
  );
});

describe("memory comes from mmap, and a pointer is a number", () => {
  const pieces = run("numbers");
  const [numbers, goat] = picturesOf(pieces, "table") as [TablePicture, TablePicture];

  test("the kernel lists the mapping that the address is in", () => {
    const [hex, decimal, rest, line] = numbers.rows.map((row) => row[1]);
    expect(BigInt(hex ?? "")).toBe(BigInt(decimal ?? ""));
    expect(rest).toBe("0");
    expect(line).toContain((hex ?? "").slice(2));
    expect(line).toContain("rw-p");
    expect(mappingLine(1n)).toBe("none");
  });

  test("a byte behind the memory is refused", () => {
    expect(numbers.rows.at(-1)?.[1]).toMatch(/^ERR_/);
  });

  test("a struct's address is the address of its first field", () => {
    const [whole, size, colorCode] = goat.rows;
    expect(whole?.[1]).toBe(size?.[1]);
    expect(whole?.[2]).toBe(size?.[2]);
    expect(BigInt(colorCode?.[1] ?? "") - BigInt(size?.[1] ?? "")).toBe(4n);
    const [dump] = picturesOf(pieces, "dump");
    expect([...(dump?.bytes ?? [])]).toEqual([90, 0, 0, 0, 7, 0, 0, 0]);
  });
});

describe("the free list", () => {
  test("malloc(5000) takes two OS pages: 4 bytes of header, 5000 of the user, and a node of 3188", () => {
    const pieces = run("malloc-5000");
    const [map] = picturesOf(pieces, "map") as [MapPicture];
    expect(map.parts).toEqual([
      { ink: "header", bytes: 4 },
      { ink: "user", bytes: 5000 },
      { ink: "node", bytes: 8 },
      { ink: "unused", bytes: 8192 - 5012 },
    ]);
    const [before, after] = picturesOf(pieces, "blocks") as [BlocksPicture, BlocksPicture];
    expect(before.boxes).toEqual([]);
    expect(after.freeList).toEqual([5004]);
    const [header] = picturesOf(pieces, "dump");
    expect(new DataView(header!.bytes.buffer).getUint32(0, true)).toBe(5000);
  });

  test("a split node becomes a header and a smaller node", () => {
    const [before, after] = picturesOf(run("split"), "blocks") as [BlocksPicture, BlocksPicture];
    expect(before.boxes.map(({ ink }) => ink)).toEqual(["header", "node"]);
    expect(after.boxes.map(({ ink, bytes }) => [ink, bytes])).toEqual([
      ["header", 5004],
      ["header", 104],
      ["node", 8192 - 5004 - 104],
    ]);
  });

  test("a 12-byte block is given whole to a request of 4 bytes, and its size says 8", () => {
    const [before, after] = picturesOf(run("given-whole"), "blocks") as [BlocksPicture, BlocksPicture];
    expect(before.boxes[0]).toMatchObject({ ink: "node", bytes: 12 });
    expect(after.boxes[0]).toMatchObject({ ink: "header", bytes: 12, fields: ["size 8"] });
  });

  test("free leaves the size where it was and writes next behind it, over what the user wrote", () => {
    const [before, after] = picturesOf(run("free"), "dump") as [DumpPicture, DumpPicture];
    expect(after.bytes.slice(0, 4)).toEqual(before.bytes.slice(0, 4));
    expect(after.bytes.slice(4, 8)).not.toEqual(before.bytes.slice(4, 8));
    expect(after.bytes.slice(8)).toEqual(before.bytes.slice(8));
  });

  test("freed neighbours are merged until all is one node", () => {
    const nodes = picturesOf(run("merge"), "blocks").map(
      ({ boxes }) => boxes.filter(({ ink }) => ink === "node").length,
    );
    expect(nodes).toEqual([1, 3, 2, 1]);
  });
});

describe("threads and arenas", () => {
  test("the threads did real work, and the figures are of one list and of two arenas", () => {
    for (const [id, names] of [
      ["one-lock", ["1 thread, one list", "2 threads, one list", "4 threads, one list"]],
      ["arenas", ["2 threads, one arena", "2 threads, two arenas"]],
    ] as const) {
      const [bars] = picturesOf(run(id), "bars") as [BarsPicture];
      expect(bars.bars.map(({ name }) => name)).toEqual(names);
      expect(bars.bars.every(({ value }) => value > 1000)).toBe(true);
    }
  });

  test("the header with the arena's id is a field longer than the one without", () => {
    const [planA, planB] = picturesOf(run("origin"), "blocks") as [BlocksPicture, BlocksPicture];
    const overhead = ({ boxes }: BlocksPicture) =>
      new Set(
        boxes
          .filter(({ ink }) => ink === "header")
          .map(({ bytes, fields }) => bytes - Number(/size (\d+)/.exec(fields[0] ?? "")?.[1])),
      );
    expect([...overhead(planA)]).toEqual([8]);
    expect([...overhead(planB)]).toEqual([4]);
    for (const { boxes } of [planA, planB]) {
      expect(new Set(boxes.flatMap(({ fields }) => fields.filter((field) => field.startsWith("arena"))))).toEqual(
        new Set(["arena 0", "arena 1"]),
      );
    }
  });
});

describe("pages of equal blocks", () => {
  test("three mallocs set three bits, a free clears its own, and a full page has all set", () => {
    const [three, two, full] = picturesOf(run("bucket-page"), "bits").map(({ bits }) => bits);
    const set = (bits: readonly boolean[] | undefined) => bits?.flatMap((bit, i) => (bit ? [i] : []));
    expect(set(three)).toEqual([0, 1, 2]);
    expect(set(two)).toEqual([0, 2]);
    expect(full?.every(Boolean)).toBe(true);
  });

  test("half of the blocks are freed in the production core, and 50 bits are cleared", () => {
    const [before, after] = picturesOf(run("core-page"), "bits").map(({ bits }) => bits.filter(Boolean).length);
    expect(before! - after!).toBe(50);
  });
});

describe("Heartbleed", () => {
  test("the careless heaps give the secret away in both attacks", () => {
    const findings = attackAll().slice(0, 3);
    expect(findings.map(({ name }) => name)).toEqual([
      "one free list",
      "arenas of free lists",
      "pages of equal blocks",
    ]);
    for (const { short, long } of findings) {
      expect(leaksIn(short)).toBeGreaterThan(0);
      expect(leaksIn(long)).toBeGreaterThan(0);
    }
  });

  test("nothing is read beyond a block of ours, and a Block that is new is zero", () => {
    const [pointer, block] = attackAll().slice(3);
    expect(pointer?.short).toBe("ERR_OUT_OF_BOUNDS");
    expect(new TextDecoder().decode(block?.short as Uint8Array)).toBe("hello");
    expect(leaksIn(block!.long)).toBe(0);
    expect((block!.long as Uint8Array).slice(5).every((byte) => byte === 0)).toBe(true);
  });

  test("malloc of ours is C's: a block that is asked for without zeroing shows what it held", () => {
    const malloc = attackAll()[3];
    expect(leaksIn(malloc!.long)).toBeGreaterThan(0);
  });

  test("the same function answers an honest request rightly on every memory", () => {
    for (const memory of serverMemories()) {
      const answer = answerHeartbeat(memory, { text: "hello", length: 5 });
      expect(new TextDecoder().decode(answer), memory.name).toBe("hello");
      expect(new TextDecoder().decode(answerFromLongBlock(memory, { text: "hello", length: 5 }))).toBe("hello");
      memory.end();
    }
  });

  test("what is found is found in the answer: without a key in memory there is no secret in it", () => {
    const memory = textbookMemory("empty", { kind: "free-list", fieldBytes: 4 });
    const answer = answerFromLongBlock(memory, { text: "hello", length: 5000 });
    expect(leaksIn(answer)).toBe(0);
    memory.end();
    const server = startServer(textbookMemory("full", { kind: "free-list", fieldBytes: 4 }));
    expect(leaksIn(server.attack(answerHeartbeat))).toBeGreaterThan(0);
    server.end();
    expect(secret.length).toBeGreaterThan(20);
  });

  test("a heap that is gone is not asked any more", () => {
    const heap = new TextbookHeap();
    heap.destroy();
    expect(() => heap.blocks()).toThrow(expect.objectContaining({ code: "ERR_HEAP_DESTROYED" }));
  });
});
