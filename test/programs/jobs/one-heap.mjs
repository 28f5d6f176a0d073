// One allocator in the process: what Node.js itself allocates is in pagerun's figures, records and views, what pagerun
// hands out is a block of the process's malloc, and both hold for worker threads. Prints a line for each proof.
import { strict as assert } from "node:assert";
import { once } from "node:events";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { brotliCompressSync, brotliDecompressSync } from "node:zlib";
import { capabilities, copyOut, free, malloc, memoryStats, snapshot, usableSize, verify, view } from "pagerun";

const megabyte = 2 ** 20;

/** The address of the block that begins with these bytes, among all large blocks of the process; undefined: in none. */
function findBlock(bytes, blockBytes) {
  const { pages, mappings } = snapshot();
  const large = [
    ...pages
      .filter(({ kind, used }) => kind === "run" && used === 1)
      .map((run) => ({ address: run.address, bytes: run.blockBytes })),
    ...mappings,
  ];
  return large.find(
    (block) => block.bytes >= blockBytes && Buffer.compare(copyOut(block.address, bytes.length), bytes) === 0,
  )?.address;
}

function prove(where) {
  assert.equal(capabilities.externalViews, true);
  assert.equal(capabilities.preloaded, true);
  assert.ok(memoryStats().liveBlocks > 3000);
  console.log(`${where}: the heap holds what Node.js has allocated since it started`);

  for (const size of [20 * megabyte, 50 * megabyte]) {
    const before = memoryStats().liveBytes;
    const buffer = Buffer.allocUnsafeSlow(size);
    buffer.fill(`a mark in a buffer of ${size} bytes in ${where}; `);
    // Not the whole size: Node.js's own threads may free a few megabytes meanwhile.
    assert.ok(memoryStats().liveBytes - before > size / 2);
    const ptr = findBlock(buffer.subarray(0, 4000), size);
    assert.equal(typeof ptr, "bigint");
    assert.ok(usableSize(ptr) >= size);
    view(ptr + 1000n, 5).set([1, 2, 3, 4, 5]);
    assert.deepEqual([...buffer.subarray(1000, 1005)], [1, 2, 3, 4, 5]);
    assert.throws(() => free(ptr + 16n), { code: "ERR_INTERIOR_POINTER" });
  }
  console.log(`${where}: a view of a Buffer's block is the Buffer's memory`);

  const sizes = Array.from({ length: 2000 }, (_, i) => (i * 7919) % 20_000);
  const blocks = sizes.map((size, i) => {
    const ptr = malloc(size);
    view(ptr, size).fill(i & 0xff);
    return ptr;
  });
  const text = Buffer.from(JSON.stringify(sizes).repeat(20));
  assert.ok(brotliDecompressSync(brotliCompressSync(text)).equals(text));
  assert.ok(blocks.every((ptr, i) => view(ptr, sizes[i]).every((byte) => byte === (i & 0xff))));
  for (const ptr of blocks) free(ptr);
  assert.deepEqual(verify(), { ok: true });
  console.log(`${where}: blocks of JavaScript and of Node.js live side by side`);
}

if (isMainThread) {
  prove("main thread");
  for (const name of ["first worker", "second worker"]) {
    const worker = new Worker(new URL(import.meta.url));
    worker.postMessage(name);
    const [code] = await once(worker, "exit");
    assert.equal(code, 0);
  }
} else {
  const [name] = await once(parentPort, "message");
  prove(name);
  parentPort.close();
}
