// Reads a file past the system's cache (O_DIRECT) into a block. The kernel then writes to the memory itself and takes
// only addresses, lengths and positions that are multiples of the device's unit: a Buffer of Node.js is rarely such an
// address, an aligned block always.
import assert from "node:assert/strict";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alignedAlloc, free, getUint8, verify, view } from "pagerun";

const unit = 4096;
const length = 64 * unit;
const folder = mkdtempSync(join(process.argv[2] ?? tmpdir(), "direct-"));

/** The opened file; undefined where the file system has no O_DIRECT, as tmpfs. */
function openDirect(file) {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_DIRECT);
  } catch (error) {
    if (error.code === "EINVAL" || error.code === "EOPNOTSUPP") return undefined;
    throw error;
  }
}

try {
  const file = join(folder, "data");
  writeFileSync(
    file,
    Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff),
  );
  const opened = openDirect(file);
  if (opened === undefined) {
    console.log(`skipped: the file system of ${folder} has no O_DIRECT`);
  } else {
    const block = alignedAlloc(unit, length);
    assert.equal(readSync(opened, view(block, length), 0, length, 0), length);
    for (const at of [0, 1, unit, length - 1]) assert.equal(getUint8(block, at), (at * 31) & 0xff);
    closeSync(opened);
    free(block);
    assert.deepEqual(verify(), { ok: true });
    console.log(`${length} bytes read past the system's cache`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
