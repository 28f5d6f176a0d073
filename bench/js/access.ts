// Owns the workloads that read and write single values of a block of 4 KiB, and the two ways to do it: by accessors that
// take a pointer each time, or through a DataView that was made for the block. One step is as many accesses as there are
// places. The loops are written out for each way: a function in between would be part of the figure.
// Does not measure (trial.ts).
import type { Accessors, ManualContender, ScriptContender } from "./contenders.js";
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

type ByPointer = (accessors: Accessors, pointer: bigint, offsets: Int32Array) => void;
type ByView = (memory: DataView, offsets: Int32Array) => void;

/** The step of a contender that has accessors, or a DataView. */
function prepare(
  contender: ScriptContender,
  offsets: Int32Array,
  byPointer: ByPointer,
  byView: ByView,
): Step | undefined {
  if (contender.kind !== "manual") return undefined;
  const { malloc, accessors, memory } = contender as ManualContender<bigint>;
  if (accessors !== undefined) {
    const pointer = malloc(kBlockBytes);
    return () => byPointer(accessors, pointer, offsets);
  }
  if (memory === undefined) return undefined;
  const view = memory(kBlockBytes);
  return () => byView(view, offsets);
}

function workload(name: string, question: string, bytes: number, byPointer: ByPointer, byView: ByView) {
  const common = { steps: 4000, operationsPerStep: kPlaces, needs: [["access"]] as const, hasLatency: false };
  return [false, true].map(
    (isRandom): ScriptWorkload => ({
      ...common,
      name: isRandom ? `${name}-random` : name,
      question: `${question} ${isRandom ? "in random order" : "one behind the other"}?`,
      prepare: (contender) => prepare(contender, makeOffsets(bytes, isRandom), byPointer, byView),
    }),
  );
}

export const kAccessWorkloads: readonly ScriptWorkload[] = [
  ...workload(
    "get-int32",
    "What does it cost to read a 32-bit integer of a block,",
    4,
    ({ getInt32 }, pointer, offsets) => {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += getInt32(pointer, offsets[place] as number);
      sink.sum += sum;
    },
    (memory, offsets) => {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += memory.getInt32(offsets[place] as number, true);
      sink.sum += sum;
    },
  ),
  ...workload(
    "set-int32",
    "What does it cost to write a 32-bit integer of a block,",
    4,
    ({ setInt32 }, pointer, offsets) => {
      for (let place = 0; place < kPlaces; place++) setInt32(pointer, offsets[place] as number, place);
    },
    (memory, offsets) => {
      for (let place = 0; place < kPlaces; place++) memory.setInt32(offsets[place] as number, place, true);
    },
  ),
  ...workload(
    "get-float64",
    "What does it cost to read a 64-bit float of a block,",
    8,
    ({ getFloat64 }, pointer, offsets) => {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += getFloat64(pointer, offsets[place] as number);
      sink.sum += sum;
    },
    (memory, offsets) => {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += memory.getFloat64(offsets[place] as number, true);
      sink.sum += sum;
    },
  ),
  ...workload(
    "get-uint8",
    "What does it cost to read a byte of a block,",
    1,
    ({ getUint8 }, pointer, offsets) => {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += getUint8(pointer, offsets[place] as number);
      sink.sum += sum;
    },
    (memory, offsets) => {
      let sum = 0;
      for (let place = 0; place < kPlaces; place++) sum += memory.getUint8(offsets[place] as number);
      sink.sum += sum;
    },
  ),
];
