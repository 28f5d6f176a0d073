// The smoke test that every build must pass: a short walk through the package as users import it. Which addon it runs
// on is chosen by PAGERUN_NODE_PATH, as for any program; which malloc is underneath, by LD_PRELOAD.
// Prints one line of JSON: the files of ours that are mapped, and what the heap counts.
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import * as pagerun from "pagerun";

const { alignedAlloc, calloc, free, malloc, memoryStats, realloc, usableSize, verify, view } = pagerun;

const block = malloc(5000);
assert.equal(typeof block, "bigint");
assert.ok(usableSize(block) >= 5000);
const bytes = view(block, 5000);
bytes.fill(7);

const grown = realloc(block, 1 << 20);
assert.deepEqual([...view(grown, 5000).subarray(4990)], Array(10).fill(7));
const zeroed = calloc(100, 10);
assert.ok(view(zeroed, 1000).every((byte) => byte === 0));
const aligned = alignedAlloc(4096, 100);
assert.equal(aligned % 4096n, 0n);
const large = malloc(64 << 20);
view(large, 64 << 20)[(64 << 20) - 1] = 1;

assert.throws(() => view(zeroed, usableSize(zeroed) + 1), { code: "ERR_OUT_OF_BOUNDS" });
assert.throws(() => free(zeroed + 16n), { code: "ERR_INTERIOR_POINTER" });
for (const ptr of [grown, zeroed, aligned, large]) free(ptr);
assert.throws(() => free(zeroed), { code: "ERR_DOUBLE_FREE" });
assert.throws(() => free(8n), { code: "ERR_FOREIGN_POINTER" });
assert.deepEqual(verify(), { ok: true });

const maps = readFileSync("/proc/self/maps", "utf8");
const mapped = [...new Set(maps.match(/\/\S*(?:pagerun\.node|libpagerun\.so)$/gm))].sort();
console.log(
  JSON.stringify({ mapped, stats: memoryStats() }, (_key, value) =>
    typeof value === "bigint" ? Number(value) : value,
  ),
);
