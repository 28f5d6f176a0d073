// Blocks under the garbage collector and in threads, run with --expose-gc in a process of its own. Prints figures as JSON.
// As a worker it does what workerData.role says.
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { alloc, free, malloc, memoryStats, verify } from "pagerun";
import { collect } from "./calls.mjs";

const megabyte = 2 ** 20;
const sizes = [0, 1, 8, 100, 1000, 5000, 40_000, 200_000, 5 * megabyte, 40 * megabyte];

/** A small generator of numbers, the same for the same seed. */
function numbersFrom(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const liveBlocks = () => memoryStats().liveBlocks;

/** Runs `work` and returns how many blocks are left of it when what it returns is all that is held. */
async function leftBy(work) {
  await collect();
  const before = liveBlocks();
  const kept = work();
  await collect();
  const left = liveBlocks() - before;
  return { left, kept };
}

async function dropped() {
  const plain = await leftBy(() => {
    for (let i = 0; i < 20_000; i++) alloc(sizes[i % 7]).size;
  });
  const used = await leftBy(() => {
    for (let i = 0; i < 20_000; i++) if (i % 7 > 0) alloc(sizes[i % 7]).setInt8(0, 1);
  });
  const viewed = await leftBy(() => {
    for (let i = 0; i < 5000; i++) alloc(sizes[i % 8]).bytes.fill(1);
    for (let i = 0; i < 20; i++) alloc(sizes[8 + (i % 2)]).buffer()[0] = 1;
  });
  const large = await leftBy(() => {
    for (let i = 0; i < 20; i++) alloc(40 * megabyte).setInt8(5, 1);
  });
  // Blocks that have outlived their job before they are dropped.
  await collect();
  const before = liveBlocks();
  const old = Array.from({ length: 5000 }, (_, i) => alloc(sizes[i % 7]));
  for (let i = 0; i < old.length; i += 2) old[i].bytes;
  await collect();
  const held = liveBlocks() - before;
  for (let i = 0; i < old.length; i += 3) old[i].free();
  old.length = 0;
  await collect();
  return {
    plain: plain.left,
    used: used.left,
    viewed: viewed.left,
    large: large.left,
    held,
    old: liveBlocks() - before,
  };
}

/** What keeps the memory of a Block that was dropped: any view that came from it. */
async function keptAlive() {
  const results = [];
  for (const size of [100, 5000, 200_000, 5 * megabyte, 40 * megabyte]) {
    for (const view of [
      (block) => block.bytes.fill(7),
      (block) => block.buffer().fill(7),
      (block) => block.bytes.fill(7).buffer,
    ]) {
      const { left, kept } = await leftBy(() => view(alloc(size)));
      // What else is allocated meanwhile does not get that memory.
      for (let i = 0; i < 10; i++) alloc(size, { zero: false }).bytes.fill(1);
      const bytes = new Uint8Array(kept.buffer ?? kept);
      results.push({ left, intact: bytes.length === size && bytes.every((byte) => byte === 7) });
    }
  }
  return results;
}

/** What the process says of the memory of Blocks, 64 MiB in all: V8 shows what ArrayBuffers keep. */
async function figures() {
  const differences = {};
  const measure = async (name) => {
    await turn();
    differences[name] = process.memoryUsage().external - start;
  };
  // The tables of the heap, which JavaScript sees as well, grow with it and stay; so do the ArrayBuffers of the stretches
  // that Blocks have been in. Those that are measured come to lie in no other.
  for (const block of Array.from({ length: 128 * 16 }, () => alloc(megabyte / 16))) block.free();
  await collect();
  const start = process.memoryUsage().external;
  let many = Array.from({ length: 64 * 16 }, () => alloc(megabyte / 16));
  await measure("plain");
  for (const block of many) block.bytes;
  await measure("viewed");
  for (const block of many) block.setInt8(0, 1);
  await measure("viewedAndUsed");
  for (const block of many.splice(0, 512)) block.free();
  await measure("halfFreed");
  many = undefined;
  await collect();
  await measure("dropped");
  const one = alloc(64 * megabyte);
  await measure("one");
  one.setInt8(0, 1);
  await measure("oneUsed");
  one.bytes[0] = 1;
  await measure("oneUsedAndViewed");
  one.free();
  await measure("oneFreed");
  return differences;
}

/** Whether the collector runs because of what Blocks keep: nobody calls it here, and nothing else is garbage. */
async function pressure() {
  let peak = 0;
  for (let i = 0; i < 2000; i++) {
    alloc(megabyte).setInt8(0, 1);
    peak = Math.max(peak, memoryStats().liveBytes);
    await turn();
  }
  return { peak };
}

/** Every Block and what came from it, in random order, against what should be there. */
class Model {
  wrong = [];
  #next;
  #blocks = [];
  #moved = [];
  #port;

  constructor(seed, port) {
    this.#next = numbersFrom(seed);
    this.#port = port;
  }

  #fail(what) {
    if (this.wrong.length < 5) this.wrong.push(what);
  }

  #mark(bytes, mark) {
    if (bytes.length === 0) return;
    bytes[0] = mark;
    bytes[bytes.length - 1] = mark;
  }

  #isMarked(bytes, mark) {
    return bytes.length === 0 || (bytes[0] === mark && bytes[bytes.length - 1] === mark);
  }

  #add() {
    const size = sizes[this.#next(this.#next(60) === 0 ? sizes.length : 8)];
    const align = [undefined, 64, 4096][this.#next(3)];
    const record = {
      block: alloc(size, { zero: this.#next(2) === 0, align }),
      mark: this.#next(255) + 1,
      views: [],
      isMoved: false,
    };
    if (size > 0) {
      record.block.setUint8(0, record.mark);
      record.block.setUint8(size - 1, record.mark);
    }
    this.#blocks.push(record);
  }

  #check({ block, mark, views, isMoved }) {
    if (block.size > 0 && (block.getUint8(0) !== mark || block.getUint8(block.size - 1) !== mark))
      this.#fail("content");
    for (const view of views) {
      if (isMoved ? view.byteLength !== 0 : view.byteLength !== block.size || !this.#isMarked(view, mark))
        this.#fail("view");
    }
  }

  #end(record) {
    for (const view of record.views) if (view.byteLength !== 0) this.#fail("stale view");
    record.views = [];
    record.isMoved = false;
  }

  #move(record) {
    if (record.block.size === 0 || record.isMoved) return;
    const moved = record.block.bytes.buffer.transfer();
    record.isMoved = true;
    this.#moved.push({ moved, mark: record.mark });
  }

  #free(record, how) {
    this.#blocks.splice(this.#blocks.indexOf(record), 1);
    if (how === "drop") return;
    if (how === "free") record.block.free();
    else record.block[Symbol.dispose]();
    this.#end(record);
    if (record.block.ptr !== 0n || record.block.bytes.length !== 0) this.#fail("not over");
  }

  #resize(record) {
    const { block, mark } = record;
    const size = sizes[this.#next(8)];
    block.resize(size);
    this.#end(record);
    if (size > 0 && block.getUint8(0) !== mark && block.bytes.length !== size) this.#fail("resize");
    this.#mark(block.bytes, mark);
    record.views.push(block.bytes);
  }

  #send(record) {
    const { block, mark, isMoved } = record;
    if (isMoved || block.size > 100_000) return;
    if (this.#next(2) === 0) {
      this.#port.postMessage({ bytes: block.bytes, mark });
    } else if (this.#moved.length > 0) {
      const { moved, mark: mark2 } = this.#moved.pop();
      this.#port.postMessage({ bytes: new Uint8Array(moved), mark: mark2 }, [moved]);
    }
    if (!this.#isMarked(structuredClone(block.bytes), mark)) this.#fail("clone");
  }

  step() {
    const { length } = this.#blocks;
    if (length < 20 || (length < 60 && this.#next(3) === 0)) this.#add();
    const record = this.#blocks[this.#next(this.#blocks.length)];
    this.#check(record);
    const action = this.#next(10);
    if (action < 3) record.views.push(this.#next(2) === 0 ? record.block.bytes : record.block.buffer());
    else if (action === 3) this.#move(record);
    else if (action === 4) this.#send(record);
    else if (action === 5) this.#resize(record);
    else if (action < 9) this.#free(record, ["free", "dispose", "drop"][action - 6]);
    if (this.#moved.length > 20) {
      const [{ moved, mark }] = this.#moved.splice(this.#next(20), 1);
      if (!this.#isMarked(new Uint8Array(moved), mark)) this.#fail("moved memory");
    }
    // An empty view, or one of memory that was moved, says nothing.
    record.views = record.views.filter((view) => view.byteLength > 0 || record.isMoved);
  }

  clear() {
    for (const record of [...this.#blocks]) this.#free(record, ["free", "drop"][this.#next(2)]);
    for (const { moved, mark } of this.#moved)
      if (!this.#isMarked(new Uint8Array(moved), mark)) this.#fail("moved at the end");
    this.#moved = [];
  }
}

async function model() {
  const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
  const steps = Number(process.argv[4] ?? 30_000);
  await collect();
  const before = liveBlocks();
  const worker = new Worker(new URL(import.meta.url), { workerData: { role: "check" } });
  let compared = new Model(seed, worker);
  for (let i = 0; i < steps; i++) {
    compared.step();
    if (i % 50 === 0) await turn();
    if (i % 1000 === 0) globalThis.gc();
  }
  compared.clear();
  const { wrong } = compared;
  compared = undefined;
  const exit = once(worker, "exit");
  worker.postMessage("end");
  const [answer] = await once(worker, "message");
  await exit;
  await collect();
  return { seed, wrong: [...wrong, ...answer.wrong], received: answer.received, left: liveBlocks() - before };
}

async function ended(role, how) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { role } });
  worker.on("error", () => {});
  const exit = new Promise((resolve) => worker.once("exit", resolve));
  const message = await new Promise((resolve) => worker.once("message", resolve));
  if (how === "terminate") await worker.terminate();
  await exit;
  return message;
}

/** Threads that end with live Blocks, of which some have views and some were dropped. */
async function threads() {
  await collect();
  const before = liveBlocks();
  for (let i = 0; i < 6; i++) {
    await Promise.all([ended("leave"), ended("throw")]);
    await Promise.all([ended("endless", "terminate"), ended("endless", "terminate")]);
  }
  await collect();
  const left = liveBlocks() - before;
  // Memory that has gone to another thread outlives its own.
  const messages = [await ended("give"), await ended("giveDropped")];
  const others = Array.from({ length: 100 }, () => alloc(1000));
  for (const other of others) other.bytes.fill(1);
  const intact = messages.every((bytes) => bytes.length === 1000 && bytes.every((byte) => byte === 9));
  for (const other of others) other.free();
  await collect();
  return { left, intact, given: liveBlocks() - before };
}

const roles = {
  /** Looks at what the model sends. */
  check() {
    const wrong = [];
    let received = 0;
    const kept = [];
    parentPort.on("message", (message) => {
      if (message === "end") {
        parentPort.postMessage({ wrong: wrong.slice(0, 5), received });
        parentPort.close();
        return;
      }
      kept.push(message);
      if (kept.length > 10) kept.shift();
      for (const { bytes, mark } of kept) {
        if (bytes.length > 0 && (bytes[0] !== mark || bytes.at(-1) !== mark)) wrong.push("received");
      }
      received++;
    });
  },

  async leave() {
    globalThis.kept = sizes.flatMap((size) => [alloc(size), alloc(size)]);
    kept.forEach((block, i) => {
      if (i % 2 === 0) block.bytes.fill(1);
      else if (block.size > 0) block.setInt8(0, 1);
    });
    for (const size of sizes) alloc(size).bytes;
    await turn();
    for (const size of sizes) kept.push(alloc(size));
    const ptr = malloc(100);
    free(ptr);
    parentPort.postMessage("done");
  },

  async throw() {
    await roles.leave();
    throw new Error("as the test wants");
  },

  async endless() {
    for (let i = 0; ; i++) {
      const blocks = sizes.map((size) => alloc(size));
      for (const block of blocks) if (i % 3 > 0) block.bytes[0] = 1;
      await turn();
      globalThis.kept = blocks;
      if (i === 3) parentPort.postMessage("started");
      if (i % 2 === 0) for (const block of blocks) block.free();
    }
  },

  async give() {
    const block = alloc(1000);
    block.bytes.fill(9);
    await turn();
    const moved = new Uint8Array(block.bytes.buffer.transfer());
    globalThis.kept = block;
    parentPort.postMessage(moved, [moved.buffer]);
  },

  /** Gives memory away long after its Block was dropped; what it was moved out of is collected before the end. */
  async giveDropped() {
    let bytes = (() => alloc(1000).bytes)();
    bytes.fill(9);
    await collect();
    bytes = new Uint8Array(bytes.buffer.transfer());
    await collect();
    parentPort.postMessage(bytes, [bytes.buffer]);
    bytes = undefined;
    await collect();
  },

  dropped,
  keptAlive,
  figures,
  pressure,
  model,
  threads,

  /** Drops one Block with a view and one without. */
  async leak() {
    (function forgets() {
      alloc(1234).size;
      alloc(4321).bytes;
      alloc(99).free();
    })();
    await collect();
  },
};

const result = await roles[isMainThread ? process.argv[2] : workerData.role]();
if (isMainThread) console.log(JSON.stringify({ result, verdict: verify() }));
