// The fragmentation probe: 60,000 Buffers of 5 to 8 KB, one in 64 is kept, the others are collected.
// With --tiny the Buffers have 8 bytes: what Node.js itself grows by, which is the floor of the figure.
import { randomFrom } from "../support/random.mjs";
import { rest } from "../support/rest.mjs";

const count = 60_000;
const keptShare = 64;
const isTiny = process.argv.includes("--tiny");
const random = randomFrom(1);

let buffers = Array.from({ length: count }, () => Buffer.alloc(isTiny ? 8 : 5000 + random(3193), 1));
const kept = buffers.filter((_, index) => index % keptShare === 0);
buffers = undefined;
globalThis.kept = kept;
console.log(`kept ${kept.length} Buffers, ${kept.reduce((sum, { length }) => sum + length, 0)} bytes`);
await rest();
