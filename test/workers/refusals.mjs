// A worker that reads and writes values of a Block until the engine has compiled that, and is then refused one access, the
// first of its thread, in the way that workerData names. Posts the error's code, and what was wrong before and after.
import { parentPort, workerData } from "node:worker_threads";
import { alloc, Block } from "pagerun";

const rounds = 8000;
const size = 4096;
const names = ["Int8", "Uint8", "Int16", "Uint16", "Int32", "Uint32", "Int64", "Uint64", "Float32", "Float64"];
const wrong = [];

let stolen = 0;
const thief = {
  valueOf() {
    stolen++;
    return 0;
  },
};

/** Writes and reads a value of each type at many places of a Block, and compares with a DataView over its bytes. */
function use(block, times) {
  const memory = new DataView(block.bytes.buffer);
  for (const name of names) {
    const isBig = name.endsWith("64") && name !== "Float64";
    const inView = isBig ? `Big${name}` : name;
    for (let i = 0; i < times; i++) {
      const offset = (i * 7) % (size - 8);
      const value = isBig ? BigInt(i) : i & 127;
      block[`set${name}`](offset, value);
      const found = block[`get${name}`](offset);
      if (found !== value || memory[`get${inView}`](offset, true) !== value) wrong.push(`${name} at ${offset}`);
    }
  }
}

const refusals = {
  behindTheEnd: (block) => block.getInt32(size - 3),
  behindTheEndToWrite: (block) => block.setInt32(size - 3, 1),
  negative: (block) => block.getInt32(-1),
  fraction: (block) => block.getInt32(1.5),
  beyondAllIntegers: (block) => block.getInt32(2 ** 64),
  noNumber: (block) => block.getInt32(thief),
  noNumberToWrite: (block) => block.setInt32(thief, 1),
  noValue: (block) => block.setInt32(0, thief),
  freed(block) {
    block.free();
    return block.getInt32(0);
  },
  freedByTheBaseClass(block) {
    Block.prototype.free.call(block);
    return block.getInt32(0);
  },
  freedToWrite(block) {
    block.free();
    block.setInt32(0, 1);
  },
  shrunk(block) {
    block.resize(16);
    return block.getInt32(16);
  },
  shrunkByTheBaseClass(block) {
    Block.prototype.resize.call(block, 16);
    return block.getInt32(16);
  },
};

const block = alloc(size);
use(block, rounds);
let code = "none";
try {
  refusals[workerData.refusal](block);
} catch (error) {
  code = error.code;
}
const other = alloc(size);
use(other, rounds);
const arrived = alloc(16);
arrived.setFloat64(8, 1.25);
arrived.resize(2 ** 23);
if (arrived.getFloat64(8) !== 1.25) wrong.push("a Block that has grown");
parentPort.postMessage({ code, stolen, wrong: wrong.slice(0, 5) });
