// The first step: memory comes from the system, its address is a number, and a struct lies where its first field lies.
// Owns nothing between calls. Thread rule: any thread.
import { readFileSync } from "node:fs";
import { PagerunError } from "../errors.js";
import { i32 } from "../field-types.js";
import { mapPages, unmapPages } from "../pages.js";
import { addressOf, struct } from "../struct.js";
import { copyOut } from "../view.js";
import { addressText, code, type Piece, text } from "./picture.js";
import type { Step } from "./step.js";

const mappedBytes = 8192;
const goatOffset = 700n;
const fieldBytes = 4;

/** The line of the kernel's own list of this process's memory that the address lies in. */
export function mappingLine(address: bigint): string {
  const lines = readFileSync("/proc/self/maps", "utf8").trimEnd().split("\n");
  const line = lines.find((one) => {
    const [from = 0n, to = 0n] = (one.split(" ", 1)[0] ?? "").split("-").map((hex) => BigInt(`0x${hex}`));
    return address >= from && address < to;
  });
  return line?.replaceAll(/ +/g, " ").trim() ?? "none";
}

/** The code of what a call throws. */
function codeOf(call: () => unknown): string {
  try {
    call();
    return "nothing";
  } catch (error) {
    return error instanceof PagerunError ? error.code : String(error);
  }
}

function numberPieces(base: bigint): Piece[] {
  const behind = codeOf(() => copyOut(base + BigInt(mappedBytes), 1));
  return [
    text(
      "A program gets memory from the system by a call named `mmap`. The answer is a number: the address of the first byte. All that a program calls its heap is such a number, and how many bytes from there on belong to it. In C the number is called `char*`, `void*` or `uintptr_t`; in TypeScript it is a `bigint`.",
    ),
    code(
      `const base = mapPages(${mappedBytes});   // ${base}n: two OS pages`,
      `base + ${goatOffset}n                     // ${base + goatOffset}n`,
    ),
    {
      kind: "table",
      title: "What the number says",
      head: ["question", "answer"],
      rows: [
        ["the address as people write it", addressText(base)],
        ["the same, in decimal", `${base}`],
        ["`base % 4096n`: it is where an OS page starts", `${base % 4096n}`],
        ["the kernel's list of this process's memory has the line", mappingLine(base)],
        [`and one byte behind the two pages, at \`base + ${mappedBytes}n\`, reading throws`, behind],
      ],
    },
    text(
      "Adding to the number is legal as long as the result stays within the memory. What lies behind it belongs to somebody else, or to nobody.",
    ),
  ];
}

/** The four bytes at an address, read as a number without any type: what a field is in memory. */
function numberAt(address: bigint): string {
  return `${new DataView(copyOut(address, fieldBytes).buffer).getInt32(0, true)}`;
}

function goatPieces(base: bigint): Piece[] {
  const goatType = struct({ size: i32, colorCode: i32 });
  const goat = goatType.at(base + goatOffset);
  goat.size = 90;
  goat.colorCode = 7;
  const rows: [string, bigint][] = [
    ["addressOf(goat)", addressOf(goat)],
    [`addressOf(goat, "size")`, addressOf(goat, "size")],
    [`addressOf(goat, "colorCode")`, addressOf(goat, "colorCode")],
  ];
  return [
    text(
      "A struct is an agreement on what lies where. A goat has a size and a code for its colour, four bytes each; this one is put 700 bytes into the memory. Nothing is in front of its fields: the address of the goat is the address of its first field.",
    ),
    code(
      "const Goat = struct({ size: i32, colorCode: i32 });",
      `const goat = Goat.at(base + ${goatOffset}n);`,
      "goat.size = 90;",
      "goat.colorCode = 7;",
    ),
    {
      kind: "dump",
      title: "The bytes of the goat: two fields, each with its lowest byte first",
      offset: Number(goatOffset),
      bytes: copyOut(addressOf(goat), goatType.size),
      parts: [
        { ink: "header", bytes: goatType.offsetOf("colorCode"), name: "size" },
        { ink: "user", bytes: goatType.size - goatType.offsetOf("colorCode"), name: "colorCode" },
      ],
    },
    {
      kind: "table",
      title: "Addresses of the goat",
      head: ["what", "address", "the four bytes there, as a number"],
      rows: rows.map(([what, address]) => [what, addressText(address), numberAt(address)]),
    },
  ];
}

export const numbersStep: Step = {
  id: "numbers",
  title: "Memory comes from mmap, and a pointer is a number",
  run() {
    const base = mapPages(mappedBytes);
    try {
      return [...numberPieces(base), ...goatPieces(base)];
    } finally {
      unmapPages(base);
    }
  },
};
