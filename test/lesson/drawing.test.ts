// The lesson's pictures against the heaps that they are drawn from: nothing in a drawing may differ from what a heap says.
import { TextbookHeap } from "pagerun";
import { describe, expect, test } from "vitest";
import { baseOf, blocksOf, dumpOf, mapOf, pageBits, pageMap, wholeBytes } from "../../lib/lesson/heap-pictures.js";
import { dark, light } from "../../lib/lesson/look.js";
import { escapeText, pieceMarkup } from "../../lib/lesson/markup.js";
import {
  bytesIn,
  describePicture,
  letters,
  type MapPicture,
  type Picture,
  partsWithin,
} from "../../lib/lesson/picture.js";
import { colourPaint, noPaint, pictureLines, pieceMarkdown, wrap } from "../../lib/lesson/terminal.js";

const osPageBytes = 4096;

/** A heap after a few hundred random calls, always the same ones for a seed. */
function usedHeap(fieldBytes: 4 | 8, seed: number): TextbookHeap {
  const heap = new TextbookHeap({ kind: "free-list", fieldBytes });
  let state = seed;
  const next = (limit: number) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return state % limit;
  };
  const live: bigint[] = [];
  for (let i = 0; i < 200; i++) {
    if (live.length > 0 && next(2) === 0) heap.free(live.splice(next(live.length), 1)[0]!);
    else live.push(heap.malloc(next(300)));
  }
  heap.check();
  return heap;
}

/** A letter for each byte of the heap, straight from blocks(): what any drawing of it has to agree with. */
function lettersOf(heap: TextbookHeap): string {
  return heap
    .blocks()
    .map((block) => {
      const front = Number(block.ptr - block.address);
      if (block.kind === "header") return letters.header.repeat(front) + letters.user.repeat(block.size);
      return letters.node.repeat(heap.nodeBytes) + letters.unused.repeat(front + block.size - heap.nodeBytes);
    })
    .join("");
}

/** The letters of a map in the terminal, with the rows that it folds written out again. */
function unfolded(lines: readonly string[]): string {
  const rows: string[] = [];
  for (const line of lines.slice(1, -1)) {
    const folded = /^\s+\*\s+(\d+) more/.exec(line);
    if (folded) rows.push(...Array<string>(Number(folded[1])).fill(rows.at(-1) ?? ""));
    else rows.push(line.trim().split(/\s+/)[1] ?? "");
  }
  return rows.join("");
}

/** The letters of a map in the browser, read from the places and sizes of its rectangles. */
function drawnLetters(picture: MapPicture): string {
  const rectangles = [
    ...pieceMarkup(picture).matchAll(/<rect class="(\w+)" x="(\d+)" y="(\d+)" width="(\d+)" height="6"\/>/g),
  ];
  const ordered = rectangles.map(([, ink, x, y, width]) => ({
    ink: ink as keyof typeof letters,
    x: Number(x),
    y: Number(y),
    width: Number(width),
  }));
  let [x, y] = [0, 0];
  return ordered
    .map((one) => {
      // Each begins where the one before ended, or in a new row: no gap, nothing twice.
      if (one.y !== y) [x, y] = [0, y + 6];
      expect([one.x, one.y]).toEqual([x, y]);
      x += one.width;
      return letters[one.ink].repeat(one.width / 6);
    })
    .join("");
}

describe.each([
  [4, 1],
  [4, 2],
  [8, 3],
] as const)("pictures of a free list with %i-byte fields, seed %i", (fieldBytes, seed) => {
  test("the map has every byte of the heap once, in the terminal and in the browser", () => {
    const heap = usedHeap(fieldBytes, seed);
    const map = mapOf("the heap", heap);
    expect(bytesIn(map.parts) % osPageBytes).toBe(0);
    expect(unfolded(pictureLines(map))).toBe(lettersOf(heap));
    expect(drawnLetters(map)).toBe(lettersOf(heap));
    heap.destroy();
  });

  test("the boxes are the blocks, and the chain is the free list", () => {
    const heap = usedHeap(fieldBytes, seed);
    const picture = blocksOf("the heap", heap);
    const base = baseOf(heap);
    const blocks = heap.blocks();
    expect(picture.boxes.map(({ ink, offset, bytes }) => [ink, base + BigInt(offset), bytes])).toEqual(
      blocks.map((block) => [block.kind, block.address, wholeBytes(block)]),
    );
    expect(picture.freeList).toEqual(heap.freeList().map(({ address }) => Number(address - base)));
    for (const [i, block] of blocks.entries()) {
      expect(picture.boxes[i]?.fields[0]).toBe(`size ${block.size}`);
      // Where one ends the next begins.
      if (i > 0) expect(block.address).toBe(blocks[i - 1]!.address + BigInt(wholeBytes(blocks[i - 1]!)));
    }
    heap.destroy();
  });

  test("the bytes of a dump are those of memory: each size field says what the block says", () => {
    const heap = usedHeap(fieldBytes, seed);
    const all = lettersOf(heap);
    for (const block of heap.blocks()) {
      const dump = dumpOf("a block", heap, block.address, heap.nodeBytes);
      const fields = new DataView(dump.bytes.buffer);
      const size = fieldBytes === 4 ? fields.getUint32(0, true) : Number(fields.getBigUint64(0, true));
      expect(size).toBe(block.size);
      const at = Number(block.address - baseOf(heap));
      const drawn = dump.parts.map(({ ink, bytes }) => letters[ink].repeat(bytes)).join("");
      expect(drawn).toBe(all.slice(at, at + heap.nodeBytes));
      expect(dump.offset).toBe(at);
    }
    heap.destroy();
  });
});

describe("pictures of pages", () => {
  test("the bits are the blocks that were handed out", () => {
    const heap = new TextbookHeap({ kind: "bucket-pages" });
    const ptrs = Array.from({ length: 40 }, () => heap.malloc(16));
    const freed = ptrs.filter((_, i) => i % 3 === 0);
    for (const ptr of freed) heap.free(ptr);
    const page = heap.pages().find(({ blockSize }) => blockSize === 16)!;
    const live = new Set(ptrs.filter((ptr) => !freed.includes(ptr)));
    const wanted = Array.from({ length: page.capacity }, (_, i) => live.has(page.address + BigInt(i * 16)));
    expect(pageBits("the page", page).bits).toEqual(wanted);
    const lines = pictureLines({ kind: "bits", title: "", bits: wanted.slice(0, 64) });
    expect(lines).toEqual([`   bit 0  ${wanted.slice(0, 64).map(Number).join("")}`]);
    expect(pieceMarkup(pageBits("the page", page)).match(/<rect class="user"/g)).toHaveLength(live.size);
    heap.destroy();
  });

  test("the map of a page ends with its records, behind the last block", () => {
    const heap = new TextbookHeap({ kind: "bucket-pages" });
    const ptr = heap.malloc(24);
    const page = heap.pages().find(({ blockSize }) => blockSize === 24)!;
    expect(ptr).toBe(page.address);
    const map = pageMap("the page", page);
    expect(bytesIn(map.parts)).toBe(osPageBytes);
    expect(map.parts[0]?.bytes).toBe(page.capacity * 24);
    heap.destroy();
  });
});

describe("what a picture says to those who do not see it", () => {
  const pictures: Picture[] = [
    {
      kind: "map",
      title: "a map",
      base: 0n,
      parts: [
        { ink: "header", bytes: 4 },
        { ink: "user", bytes: 60 },
      ],
      rowBytes: 64,
    },
    {
      kind: "blocks",
      title: "blocks",
      base: 0n,
      boxes: [{ ink: "node", offset: 0, bytes: 1, fields: ["size 1"] }],
      freeList: [0],
    },
    { kind: "dump", title: "a dump", offset: 0, bytes: new Uint8Array(8), parts: [{ ink: "secret", bytes: 8 }] },
    { kind: "bits", title: "bits", bits: [true, false, true] },
    { kind: "bars", title: "bars", bars: [{ name: "one", value: 2, text: "2 a second" }] },
    { kind: "table", title: "a table", head: ["a", "b"], rows: [["1", "2"]] },
  ];

  test("is in words", () => {
    expect(pictures.map(describePicture)).toEqual([
      "64 bytes in address order: 4 bytes header, 60 bytes user memory.",
      "node at +0, 1 byte, size 1. Free list: +0.",
      "8 bytes as they are in memory: 8 bytes secret.",
      "3 bits, 2 of them set.",
      "one: 2 a second.",
      "Table with the columns a, b.",
    ]);
  });

  test.each(pictures.map((picture) => [picture.kind, picture] as const))(
    "%s: drawn with a title, as text and as markup",
    (_, picture) => {
      expect(pictureLines(picture).join("")).not.toContain("undefined");
      expect(pieceMarkup(picture)).toContain(`<figcaption>${picture.title}</figcaption>`);
      expect(pieceMarkdown(picture)).toContain(picture.title);
      const drawing = /role="img" aria-label="([^"]+)"/.exec(pieceMarkup(picture));
      if (picture.kind === "map" || picture.kind === "bits" || picture.kind === "dump")
        expect(drawing?.[1]).toContain(picture.title);
    },
  );

  test("no text of a picture becomes markup", () => {
    const evil = `<script>"&'`;
    const table: Picture = { kind: "table", title: evil, head: [evil], rows: [[evil]] };
    expect(pieceMarkup(table)).not.toContain("<script>");
    expect(pieceMarkup({ kind: "text", text: `${evil} \`${evil}\`` })).not.toContain("<script>");
    expect(escapeText(evil)).toBe("&lt;script&gt;&quot;&amp;'");
  });
});

describe("drawing in the terminal", () => {
  test("colours add to the letters and change none", () => {
    const heap = usedHeap(4, 9);
    const map = mapOf("the heap", heap);
    const coloured = pictureLines(map, colourPaint).join("\n");
    expect(coloured).toContain("\x1b[");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours are what is taken out
    expect(coloured.replaceAll(/\x1b\[[\d;]*m/g, "")).toBe(pictureLines(map, noPaint).join("\n"));
    heap.destroy();
  });

  test("words are wrapped at the width, and none is lost", () => {
    const words = "one two three four five six seven eight nine ten";
    const lines = wrap(words, 12);
    expect(lines.join(" ")).toBe(words);
    expect(lines.every((line) => line.length <= 12)).toBe(true);
  });

  test("parts are cut at the ends of a row and nowhere else", () => {
    const parts = [
      { ink: "header" as const, bytes: 4 },
      { ink: "user" as const, bytes: 100 },
    ];
    expect(partsWithin(parts, 0, 64)).toEqual([
      { ink: "header", bytes: 4 },
      { ink: "user", bytes: 60 },
    ]);
    expect(partsWithin(parts, 64, 64)).toEqual([{ ink: "user", bytes: 40 }]);
    expect(partsWithin(parts, 104, 64)).toEqual([]);
  });
});

/** Relative luminance and contrast, as WCAG 2 defines them. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [high = 0, low = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

describe.each([
  ["light", light],
  ["dark", dark],
] as const)("the %s colours", (_, palette) => {
  test("text has a contrast of 4.5 to 1 at least, on the page, on a card and on each ink", () => {
    const pairs = [palette.page, palette.card].flatMap((ground) =>
      [palette.text, palette.quiet, palette.link].map((text) => [text, ground] as const),
    );
    const inks = Object.values(palette.inks).map(({ text, ground }) => [text, ground] as const);
    for (const [text, ground] of [...pairs, ...inks, [palette.card, palette.link] as const]) {
      expect(contrast(text, ground), `${text} on ${ground}`).toBeGreaterThanOrEqual(4.5);
    }
  });

  test("marks stand out from the card by 3 to 1, but for unused space, which is what is left", () => {
    for (const [ink, { ground }] of Object.entries(palette.inks)) {
      if (ink !== "unused") expect(contrast(ground, palette.card), ink).toBeGreaterThanOrEqual(3);
    }
  });
});
