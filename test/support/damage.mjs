// Damages the heap's own records from outside, as no program can through pagerun, and prints what verify() says:
// every word of the process that holds the address of one bucket page is changed for a moment.
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import koffi from "koffi";
import { malloc, snapshot, verify } from "pagerun";

const ptr = malloc(3000);
const page = snapshot().pages.find(({ address, pages }) => ptr >= address && ptr < address + BigInt(pages * 32_768));
const memory = openSync("/proc/self/mem", "r");
const largestBytes = 64 * 1024 * 1024;
const step = 32_768;

function* writableRanges() {
  for (const line of readFileSync("/proc/self/maps", "utf8").trim().split("\n")) {
    const [range, access, , , inode] = line.split(/\s+/);
    const [start, end] = range.split("-").map((text) => BigInt(`0x${text}`));
    if (access.startsWith("rw") && inode === "0" && end - start < largestBytes) yield { start, end };
  }
}

/** Addresses of all words outside the JavaScript heap's small ranges that hold `value`. */
function placesOf(value) {
  const places = [];
  const piece = Buffer.alloc(step);
  const pattern = Buffer.alloc(8);
  pattern.writeBigUInt64LE(value);
  for (const { start, end } of writableRanges()) {
    for (let at = start; at < end; at += BigInt(step)) {
      const length = readSync(memory, piece, 0, Math.min(step, Number(end - at)), at);
      for (let i = piece.indexOf(pattern); i !== -1 && i < length; i = piece.indexOf(pattern, i + 8)) {
        if (i % 8 === 0) places.push(at + BigInt(i));
      }
    }
  }
  return places;
}

const memcpy = koffi.load("libc.so.6").func("void *memcpy(uintptr_t target, const void *source, size_t bytes)");

function writeWord(place, word) {
  memcpy(place, word, 8);
}

/** The eight bytes at this place, in memory of their own. */
function wordAt(place) {
  const word = Buffer.alloc(8);
  readSync(memory, word, 0, 8, place);
  return word;
}

// The address as text: the bigint's own digits are a word of the process like any other, and are changed as well.
const address = String(page.address);
const found = [];
for (const place of placesOf(BigInt(address))) {
  const word = wordAt(place);
  if (word.readBigUInt64LE() !== BigInt(address)) continue;
  const wrong = Buffer.alloc(8);
  wrong.writeBigUInt64LE(BigInt(address) + 32_768n);
  writeWord(place, wrong);
  const verdict = verify();
  writeWord(place, word);
  if (!verdict.ok) found.push({ ...verdict, address: String(verdict.address) });
}
closeSync(memory);
const after = verify();
console.log(JSON.stringify({ found, after: after.ok ? after : { ...after, address: String(after.address) } }));
