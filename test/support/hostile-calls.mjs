// Calls that a program should never make, by the hundred thousand, among those it should: any bigint as a pointer, any
// value as a size, an offset or a Block, views of memory that was freed, moved, cloned and sent away, on several threads.
// Run with --expose-gc: node hostile-calls.mjs CALLS SEED. Prints what it found as JSON.
//
// A thread keeps to its own blocks where it frees: an address that it freed may be another thread's block a moment later,
// and to free that is a misuse that nobody can find.
import { setImmediate as turn } from "node:timers/promises";
import { isMainThread, MessageChannel, parentPort, Worker, workerData } from "node:worker_threads";
import * as pagerun from "pagerun";
import { collect } from "./calls.mjs";
import { HostilePointers } from "./hostile-pointers.mjs";
import { HostileThread, traps } from "./hostile-thread.mjs";

const { alignedAlloc, alloc, calloc, capabilities, copyIn, copyOut, free, malloc, memoryStats } = pagerun;
const { realloc, usableSize, verify, view } = pagerun;
const kilobyte = 1024;
const sizes = [0, 1, 7, 16, 100, 1000, 5000, 40_000, 300 * kilobyte, 5 * kilobyte * kilobyte];
const types = ["Int8", "Uint8", "Int16", "Uint16", "Int32", "Uint32", "Int64", "Uint64", "Float32", "Float64"];

/** Values with code of their own, which tries to free the Block that is being used. */
function trapsFor(target) {
  return traps(() => {
    target.current?.[Symbol.dispose]();
    return 0;
  });
}

class HostileBlocks extends HostileThread {
  /** Blocks, with the byte at both ends of each and the views that came from it. */
  #blocks = [];
  /** Blocks that are over, and views that came from them. */
  #over = [];
  /** Memory that was taken from Blocks by transfer(). */
  #moved = [];
  #pointers = [];
  #freed = [];
  #target = { current: undefined };
  #port;
  #traps = trapsFor(this.#target);

  constructor(seed, port) {
    super(seed);
    this.#port = port;
  }

  #bigint() {
    return this.bigint(this.#pointers.length > 0 ? this.one(this.#pointers).ptr : undefined);
  }

  #value() {
    return this.value(this.#traps, this.#pointers.length > 0 ? this.one(this.#pointers).ptr : undefined);
  }

  #add() {
    const size = this.one(this.next(30) === 0 ? sizes : sizes.slice(0, 8));
    const options = this.one([undefined, { zero: false }, { align: 64 }, { align: 4096, zero: false }, {}]);
    const block = this.attempt("alloc", () => alloc(size, options));
    if (block === undefined) return;
    const record = { block, mark: this.next(256), views: [], isMoved: false };
    if (size > 0) {
      block.setUint8(0, record.mark);
      block.setUint8(size - 1, record.mark);
    }
    this.#blocks.push(record);
  }

  #addPointer() {
    const size = this.one(sizes);
    const make = this.one([() => malloc(size), () => calloc(1, size), () => alignedAlloc(32, size)]);
    const ptr = this.attempt("malloc", make);
    if (ptr === undefined) return;
    const mark = this.next(256);
    if (size > 0) this.attempt("copyIn", () => copyIn(ptr, Uint8Array.of(mark)));
    this.#pointers.push({ ptr, size, mark });
  }

  #isMarked(bytes, mark) {
    return bytes.length === 0 || (bytes[0] === mark && bytes[bytes.length - 1] === mark);
  }

  #check({ block, mark, views, isMoved }) {
    const { size } = block;
    if (size > 0 && (block.getUint8(0) !== mark || block.getUint8(size - 1) !== mark)) this.fail("content of a Block");
    for (const bytes of views) {
      if (isMoved ? bytes.length !== 0 : bytes.length !== size || !this.#isMarked(bytes, mark)) this.fail("a view");
    }
  }

  #end(record) {
    for (const bytes of record.views) if (bytes.length !== 0 || bytes[0] !== undefined) this.fail("a stale view");
    if (this.#over.length > 50) this.#over.shift();
    this.#over.push(record);
  }

  #useOver() {
    if (this.#over.length === 0) return;
    const { block, views } = this.one(this.#over);
    const type = this.one(types);
    this.refused("get of what is over", () => block[`get${type}`](this.next(100)));
    this.refused("set of what is over", () =>
      block[`set${type}`](0, type.endsWith("64") && type !== "Float64" ? 1n : 1),
    );
    this.refused("free of what is over", () => block.free());
    this.refused("resize of what is over", () => block.resize(10));
    this.attempt("dispose", () => block[Symbol.dispose]());
    if (block.ptr !== 0n || block.size !== 0 || block.bytes.length !== 0 || block.buffer().length !== 0)
      this.fail("not over");
    for (const bytes of views) if (bytes.length !== 0) this.fail("a view came back");
  }

  /** Offsets and values of every kind. Where code of a value runs it frees the Block: then nothing may be reached. */
  #strike(record) {
    const { block } = record;
    const type = this.one(types);
    this.#target.current = block;
    this.attempt("get", () => block[`get${type}`](this.#value()));
    // What was moved may be looked at by another thread at this moment.
    if (!record.isMoved) this.attempt("set", () => block[`set${type}`](this.#value(), this.#value()));
    this.attempt("resize", () => block.resize(this.one([-1, 0.5, "4", null, -1n, 2n ** 64n, ...this.#traps])));
    this.#target.current = undefined;
    if (block.ptr === 0n) this.fail("code of an argument ran");
    this.refused("get beyond", () => block[`get${type}`](block.size + this.next(1000)));
    const { mark, isMoved } = record;
    if (block.size === 0) return;
    block.setUint8(0, mark);
    block.setUint8(block.size - 1, mark);
    if (!isMoved)
      for (const bytes of record.views) if (!this.#isMarked(bytes, mark)) this.fail("a view after a strike");
  }

  #move(record) {
    if (record.block.size === 0 || record.isMoved) return;
    const moved = record.block.bytes.buffer.transfer();
    record.isMoved = true;
    this.#moved.push({ moved, mark: record.mark });
    if (this.#moved.length <= 10) return;
    const [old] = this.#moved.splice(this.next(10), 1);
    if (!this.#isMarked(new Uint8Array(old.moved), old.mark)) this.fail("moved memory");
    this.#giveAway(old);
  }

  /**
   * Somebody else detaches what was moved. A worker gives nothing away and ends all of it: memory that has left its
   * ArrayBuffer stays allocated when its thread ends, for it might be another thread's by then.
   */
  #giveAway({ moved, mark }) {
    const how = isMainThread ? this.next(3) : 0;
    if (how === 0) moved.transfer(0);
    else if (how === 1 || this.#port === undefined) structuredClone(moved, { transfer: [moved] });
    else this.#port.postMessage({ moved, mark }, [moved]);
    this.calls++;
  }

  #clone({ block, mark, isMoved, views }) {
    if (isMoved || block.size === 0 || block.size > 100_000) return;
    const { bytes } = block;
    if (!this.#isMarked(structuredClone(bytes), mark)) this.fail("a clone");
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(bytes, [bytes.buffer]);
    } catch (error) {
      if (error.name !== "DataCloneError") this.fail(`postMessage: ${error}`);
    }
    port1.close();
    port2.close();
    this.calls += 2;
    views.push(bytes, block.buffer(), bytes.subarray(0));
  }

  #resize(record) {
    const { block } = record;
    const size = this.one(sizes.slice(0, 9));
    this.attempt("resize", () => block.resize(size));
    for (const bytes of record.views) if (bytes.length !== 0) this.fail("a view of before");
    record.views = [];
    record.isMoved = false;
    if (size === 0) return;
    if (block.size !== size) this.fail("the size");
    block.setUint8(0, record.mark);
    block.setUint8(size - 1, record.mark);
  }

  #free(record) {
    this.#blocks.splice(this.#blocks.indexOf(record), 1);
    const how = this.next(3);
    // A dropped one is the collector's.
    if (how === 0) return;
    this.attempt("free", () => (how === 1 ? record.block.free() : record.block[Symbol.dispose]()));
    this.#end(record);
  }

  /** Pointers that are none, to every function that takes one. */
  #strikePointer() {
    const ptr = this.next(3) === 0 ? this.#value() : this.#bigint();
    if (this.#pointers.some((record) => record.ptr === ptr)) return;
    this.#refusedUnlessNull("free", ptr, () => free(ptr));
    this.#refusedUnlessNull("usableSize", ptr, () => usableSize(ptr));
    if (ptr !== 0n) this.refused("realloc", () => realloc(ptr, 10));
    this.attempt("view", () => view(ptr, this.one([0, 1, 100, this.#value()])));
    this.attempt("copyOut", () => copyOut(ptr, this.one([0, 1, 100, this.#value()])));
    this.attempt("malloc", () => {
      const made = malloc(this.one([-1, 0.5, 2 ** 60, 2n ** 64n, -1n, "8", ...this.#traps]));
      free(made);
    });
    this.attempt("alloc", () => alloc(this.one([-1, 2 ** 60, 2n ** 70n, null]), this.#value()).free());
  }

  #refusedUnlessNull(name, ptr, call) {
    if (ptr === 0n) this.attempt(name, call);
    else this.refused(name, call);
  }

  /** Pointers into blocks, and of blocks that are free. Reads of these may find another thread's block. */
  #nearPointer() {
    const record = this.one(this.#pointers);
    const { ptr, size, mark } = record;
    if (size > 0 && copyOut(ptr, 1)[0] !== mark) this.fail("content of a block");
    const inside = 1 + this.next(Math.max(1, usableSize(ptr) - 1));
    this.refused("free inside", () => free(ptr + BigInt(inside)));
    this.refused("realloc inside", () => realloc(ptr + BigInt(inside), 5));
    this.refused("view beyond", () => view(ptr, usableSize(ptr) + 1 + this.next(10)));
    this.refused("copyIn beyond", () => copyIn(ptr, new Uint8Array(usableSize(ptr) + 1)));
    if (this.#freed.length > 0) {
      const freed = this.one(this.#freed);
      this.attempt("usableSize of a freed block", () => usableSize(freed));
      this.attempt("copyOut of a freed block", () => copyOut(freed, 1));
      this.attempt("view of a freed block", () => view(freed, 1)[0]);
    }
  }

  #freePointer() {
    const [{ ptr }] = this.#pointers.splice(this.next(this.#pointers.length), 1);
    this.attempt("free", () => free(ptr));
    this.#freed.push(ptr);
    if (this.#freed.length > 50) this.#freed.shift();
  }

  /** With no other thread about, a freed address is nobody's until this one allocates again. */
  freeTwice() {
    const ptr = malloc(this.one(sizes));
    free(ptr);
    this.refused("free twice", () => free(ptr));
    this.refused("realloc of a freed block", () => realloc(ptr, 10));
    this.refused("view of a freed block", () => view(ptr, 1));
    const { ptr: address } = ((block) => {
      const before = { ptr: block.ptr };
      block.free();
      return before;
    })(alloc(this.one(sizes)));
    this.refused("free of a Block's address", () => free(address));
  }

  step() {
    if (this.#blocks.length < 20 || (this.#blocks.length < 60 && this.next(4) === 0)) this.#add();
    if (this.#pointers.length < 20 || (this.#pointers.length < 60 && this.next(4) === 0)) this.#addPointer();
    if (this.#blocks.length === 0 || this.#pointers.length === 0) return;
    const record = this.one(this.#blocks);
    this.#check(record);
    const actions = [
      () => this.#strike(record),
      () => this.#strikePointer(),
      () => this.#nearPointer(),
      () => this.#freePointer(),
      () => this.#useOver(),
      () => record.views.push(record.isMoved ? new Uint8Array(0) : record.block.bytes),
      () => this.#free(record),
      () => this.next(4) === 0 && this.#move(record),
      () => this.next(4) === 0 && this.#clone(record),
      () => this.next(2) === 0 && this.#resize(record),
    ];
    this.one(actions)();
  }

  /** Frees everything but half of the Blocks, which are left to the collector or to the end of the thread. */
  clear() {
    while (this.#pointers.length > 0) this.#freePointer();
    for (const record of this.#blocks) {
      this.#check(record);
      if (this.next(2) === 0) record.block.free();
    }
    for (const one of this.#moved) {
      if (!this.#isMarked(new Uint8Array(one.moved), one.mark)) this.fail("moved memory at the end");
      this.#giveAway(one);
    }
    this.#blocks = [];
    this.#over = [];
    this.#moved = [];
  }
}

async function strike(calls, seed, port, isAlone) {
  // With the heap shared by the whole process nobody is ever alone.
  const isReallyAlone = isAlone && !capabilities.preloaded;
  const blocks = new HostileBlocks(seed, port);
  const pointers = new HostilePointers(seed + 1, isReallyAlone);
  for (let i = 0; blocks.calls + pointers.calls < calls; i++) {
    blocks.step();
    pointers.step();
    if (isReallyAlone && i % 10 === 0) blocks.freeTwice();
    if (i % 100 === 0) await turn();
    if (i % 20_000 === 0) globalThis.gc?.();
  }
  blocks.clear();
  pointers.clear();
  return {
    calls: blocks.calls + pointers.calls,
    wrong: [...blocks.wrong, ...pointers.wrong],
    refusals: [...blocks.refusals, ...pointers.refusals],
  };
}

/** A worker: strikes for itself, or looks at the memory that it is given. */
async function work() {
  const wrong = [];
  parentPort.on("message", ({ moved, mark }) => {
    const bytes = new Uint8Array(moved);
    if (bytes.length > 0 && (bytes[0] !== mark || bytes.at(-1) !== mark)) wrong.push(["memory from another thread", 1]);
  });
  const result = await strike(workerData.calls, workerData.seed, undefined, false);
  await turn();
  parentPort.postMessage({ ...result, wrong: [...result.wrong, ...wrong] });
  if (workerData.seed % 3 === 0) throw new Error("a worker that ends like this");
  if (workerData.seed % 3 === 1) process.exit();
  parentPort.close();
}

function endOf(worker) {
  let result;
  worker.on("message", (message) => {
    result = message;
  });
  worker.on("error", () => {});
  return new Promise((resolve) => worker.once("exit", () => resolve(result)));
}

/** A quarter of the calls alone, the rest in rounds of the main thread and two workers. */
async function main(calls, seed) {
  await collect();
  const before = memoryStats().liveBlocks;
  const results = [await strike(calls / 4, seed, undefined, true)];
  const rounds = Math.max(1, Math.round(calls / 400_000));
  for (let round = 0; round < rounds; round++) {
    const share = calls / 4 / rounds;
    const workers = [1, 2].map(
      (n) => new Worker(new URL(import.meta.url), { workerData: { calls: share, seed: seed + round * 3 + n } }),
    );
    const ends = workers.map(endOf);
    results.push(await strike(share, seed + round * 3, workers[0], false), ...(await Promise.all(ends)));
    await turn();
  }
  await collect();
  const sum = (name) => {
    const counts = new Map();
    for (const [key, count] of results.flatMap((result) => result?.[name] ?? []))
      counts.set(key, (counts.get(key) ?? 0) + count);
    return Object.fromEntries(counts);
  };
  return {
    seed,
    calls: results.reduce((all, result) => all + (result?.calls ?? 0), 0),
    ended: results.every((result) => result !== undefined),
    wrong: sum("wrong"),
    refusals: sum("refusals"),
    left: memoryStats().liveBlocks - before,
    verdict: verify(),
  };
}

if (isMainThread) {
  console.log(JSON.stringify(await main(Number(process.argv[2]), Number(process.argv[3]))));
} else {
  await work();
}
