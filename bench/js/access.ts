// Owns the workloads that read and write single values of a block of 4 KiB, and the ways to do it: by accessors that take
// a pointer each time, by those of a Block, or through a DataView that was made for the block. One step is as many accesses
// as there are places. The loops are written out for each way: a function in between would be part of the figure.
// Does not measure (trial.ts).
import type { Accessors, ManualContender, OwnedMemory, ScriptContender } from "./contenders.js";
import type { ScriptWorkload, Step } from "./workloads.js";

const kBlockBytes = 4096;
const kPlaces = 1024;

/** Where results go, so that the engine cannot leave out the reads. */
export const sink = { sum: 0 };

/** Offsets of all places of `bytes` bytes, one behind the other, or in an order without pattern. */
function makeOffsets(bytes: number, isRandom: boolean): Int32Array {
  const places = Int32Array.from({ length: kPlaces }, (_, place) => (place * bytes) % kBlockBytes);
  if (!isRandom) return places;
  let state = 0x9e3779b9;
  for (let last = kPlaces - 1; last > 0; last--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const other = (state >>> 0) % (last + 1);
    [places[last], places[other]] = [places[other] as number, places[last] as number];
  }
  return places;
}

/** What a workload does, in each of the ways. */
interface Loops {
  byPointer(accessors: Accessors, pointer: bigint, offsets: Int32Array): void;
  byBlock(block: OwnedMemory, offsets: Int32Array): void;
  byView(memory: DataView, offsets: Int32Array): void;
}

/** The step of a contender that has accessors, or a DataView. */
function prepare(
  contender: ScriptContender,
  offsets: Int32Array,
  { byPointer, byBlock, byView }: Loops,
  isOwned: boolean,
): Step | undefined {
  if (contender.kind !== "manual") return undefined;
  const { malloc, alloc, accessors, memory } = contender as ManualContender<bigint>;
  if (memory !== undefined) {
    const view = memory(kBlockBytes);
    return () => byView(view, offsets);
  }
  if (isOwned) {
    const block = alloc?.(kBlockBytes);
    return block && (() => byBlock(block, offsets));
  }
  if (accessors === undefined) return undefined;
  const pointer = malloc(kBlockBytes);
  return () => byPointer(accessors, pointer, offsets);
}

/** By pointer and by Block, in order and in an order without pattern. */
function workload(name: string, what: string, bytes: number, loops: Loops): ScriptWorkload[] {
  const common = { steps: 40_000, operationsPerStep: kPlaces, needs: [["access"]] as const, hasLatency: false };
  return [false, true].flatMap((isOwned) =>
    [false, true].map((isRandom) => ({
      ...common,
      name: `${isOwned ? "block-" : ""}${name}${isRandom ? "-random" : ""}`,
      question: `What does it cost to ${what} of a ${isOwned ? "Block" : "block, by its pointer"}, ${isRandom ? "in random order" : "one behind the other"}?`,
      prepare: (contender: ScriptContender) => prepare(contender, makeOffsets(bytes, isRandom), loops, isOwned),
    })),
  );
}

export const kAccessWorkloads: readonly ScriptWorkload[] = [
  ...workload("get-int32", "read a 32-bit integer", 4, {
    byPointer({ getInt32 }, pointer, offsets) {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += getInt32(pointer, offsets[place] as number);
      sink.sum += sum;
    },
    byBlock(block, offsets) {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += block.getInt32(offsets[place] as number);
      sink.sum += sum;
    },
    byView(memory, offsets) {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += memory.getInt32(offsets[place] as number, true);
      sink.sum += sum;
    },
  }),
  ...workload("set-int32", "write a 32-bit integer", 4, {
    byPointer({ setInt32 }, pointer, offsets) {
      for (let place = 0; place < kPlaces; place++) setInt32(pointer, offsets[place] as number, place);
    },
    byBlock(block, offsets) {
      for (let place = 0; place < kPlaces; place++) block.setInt32(offsets[place] as number, place);
    },
    byView(memory, offsets) {
      for (let place = 0; place < kPlaces; place++) memory.setInt32(offsets[place] as number, place, true);
    },
  }),
  ...workload("get-float64", "read a 64-bit float", 8, {
    byPointer({ getFloat64 }, pointer, offsets) {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += getFloat64(pointer, offsets[place] as number);
      sink.sum += sum;
    },
    byBlock(block, offsets) {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += block.getFloat64(offsets[place] as number);
      sink.sum += sum;
    },
    byView(memory, offsets) {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += memory.getFloat64(offsets[place] as number, true);
      sink.sum += sum;
    },
  }),
  ...workload("get-uint8", "read a byte", 1, {
    byPointer({ getUint8 }, pointer, offsets) {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += getUint8(pointer, offsets[place] as number);
      sink.sum += sum;
    },
    byBlock(block, offsets) {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += block.getUint8(offsets[place] as number);
      sink.sum += sum;
    },
    byView(memory, offsets) {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += memory.getUint8(offsets[place] as number);
      sink.sum += sum;
    },
  }),
];
