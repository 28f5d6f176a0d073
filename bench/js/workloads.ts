// Owns the workloads of the js suite: what one step does, for which contenders it makes sense, and how often.
// Does not measure (trial.ts). A contender that cannot do a workload is left out of it: nothing is imitated.
import type { ScriptName } from "../options.js";
import { type Ability, kAbilities, type ManualContender, type ScriptContender } from "./contenders.js";

/** One step; `index` counts from 0. */
export type Step = (index: number) => void;

export interface ScriptWorkload {
  name: string;
  question: string;
  /** Steps of one trial. */
  steps: number;
  /** Operations that one step makes: what ns_per_op divides by. */
  operationsPerStep: number;
  /** What a contender must be able to do: all of one of these lists. */
  needs: readonly (readonly Ability[])[];
  /** Whether the time of single steps says something: not where one step is a thousand operations. */
  hasLatency: boolean;
  /** The step for this contender; undefined when it cannot do the workload. */
  prepare(contender: ScriptContender): Step | undefined;
}

const kSizesMask = 4095;
/** Results that are kept reachable, so that the engine cannot leave out making them. */
const kKept = 256;
const kBurst = 1000;
const kLargeBytes = 2 ** 20;
const kGrowthStart = 16;
const kGrowthEnd = 64 * 1024;

/** Sizes from `from` to `to`, evenly spread, the same ones in every process. */
export function makeSizes(from: number, to: number): Uint32Array {
  const sizes = new Uint32Array(kSizesMask + 1);
  let state = 0x9e3779b9;
  for (let index = 0; index < sizes.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    sizes[index] = from + ((state >>> 0) % (to - from + 1));
  }
  return sizes;
}

const kSmallSizes = makeSizes(16, 1024);
const kViewSizes = makeSizes(64, 4096);

function sizeAt(sizes: Uint32Array, index: number): number {
  return sizes[index & kSizesMask] as number;
}

function preparePair(contender: ScriptContender): Step | undefined {
  if (contender.kind !== "manual") return undefined;
  const { malloc, free } = contender;
  const kept = new Array<unknown>(kKept).fill(0n);
  return (index) => {
    const pointer = malloc(sizeAt(kSmallSizes, index));
    kept[index & (kKept - 1)] = pointer;
    free(pointer);
  };
}

function prepareBurst(contender: ScriptContender): Step {
  if (contender.kind === "collected") {
    const { allocate } = contender;
    const kept = new Array<Uint8Array | undefined>(kBurst).fill(undefined);
    return (index) => {
      for (let i = 0; i < kBurst; i++) kept[i] = allocate(sizeAt(kSmallSizes, index * kBurst + i));
      kept.fill(undefined);
    };
  }
  const { malloc, free } = contender;
  const kept: (bigint | number)[] = new Array<bigint | number>(kBurst).fill(0n);
  return (index) => {
    for (let i = 0; i < kBurst; i++) kept[i] = malloc(sizeAt(kSmallSizes, index * kBurst + i));
    for (let i = 0; i < kBurst; i++) free(kept[i] as bigint);
  };
}

function prepareMallocViewFree(contender: ScriptContender): Step | undefined {
  const kept = new Array<Uint8Array | undefined>(kKept).fill(undefined);
  if (contender.kind === "collected") {
    const { allocate } = contender;
    return (index) => {
      const bytes = allocate(sizeAt(kViewSizes, index));
      bytes[0] = index;
      kept[index & (kKept - 1)] = bytes;
    };
  }
  const { malloc, view, free } = contender;
  if (!view) return undefined;
  return (index) => {
    const size = sizeAt(kViewSizes, index);
    const pointer = malloc(size);
    const bytes = view(pointer, size);
    bytes[0] = index;
    kept[index & (kKept - 1)] = bytes;
    free(pointer);
  };
}

/** Memory that is owned: got, touched through its bytes or not at all, and given back by itself. */
function prepareOwned(contender: ScriptContender, isTouched: boolean): Step | undefined {
  const kept = new Array<unknown>(kKept).fill(undefined);
  if (contender.kind === "collected") {
    const { allocate } = contender;
    return (index) => {
      kept[index & (kKept - 1)] = allocate(sizeAt(kViewSizes, index));
    };
  }
  const { alloc } = contender;
  if (!alloc) return undefined;
  return (index) => {
    const block = alloc(sizeAt(kViewSizes, index));
    if (isTouched) block.bytes[0] = index;
    kept[index & (kKept - 1)] = block;
    block.free();
  };
}

function prepareView(contender: ScriptContender): Step | undefined {
  if (contender.kind === "collected" || !contender.view) return undefined;
  const { malloc, view } = contender;
  const kept = new Array<Uint8Array | undefined>(kKept).fill(undefined);
  const pointers = Array.from({ length: kKept }, (_, index) => malloc(sizeAt(kViewSizes, index)));
  return (index) => {
    const place = index & (kKept - 1);
    const bytes = view(pointers[place] as bigint, sizeAt(kViewSizes, place));
    bytes[0] = index;
    kept[place] = bytes;
  };
}

function prepareCalloc(contender: ScriptContender): Step | undefined {
  const kept = new Array<unknown>(kKept).fill(0n);
  if (contender.kind === "collected") {
    const { allocate } = contender;
    return (index) => {
      kept[index & (kKept - 1)] = allocate(sizeAt(kSmallSizes, index));
    };
  }
  const { calloc, free } = contender;
  if (!calloc) return undefined;
  return (index) => {
    const pointer = calloc(sizeAt(kSmallSizes, index));
    kept[index & (kKept - 1)] = pointer;
    free(pointer);
  };
}

/** Sizes that one growth goes through: half as much again each time, as growing arrays do. */
export function growthSizes(): number[] {
  const sizes: number[] = [];
  for (let size = kGrowthStart; size <= kGrowthEnd; size = Math.ceil(size * 1.5)) sizes.push(size);
  return sizes;
}

function prepareGrowth(contender: ScriptContender): Step | undefined {
  if (contender.kind !== "manual" || !contender.realloc) return undefined;
  const { malloc, free } = contender;
  const realloc = contender.realloc as NonNullable<ManualContender["realloc"]>;
  const [first, ...rest] = growthSizes() as [number, ...number[]];
  const kept = new Array<unknown>(kKept).fill(0n);
  return (index) => {
    let pointer = malloc(first);
    for (const size of rest) pointer = realloc(pointer, size);
    kept[index & (kKept - 1)] = pointer;
    free(pointer);
  };
}

function prepareLarge(contender: ScriptContender): Step {
  if (contender.kind === "collected") {
    const { allocate } = contender;
    const kept = new Array<Uint8Array | undefined>(4).fill(undefined);
    return (index) => {
      kept[index & 3] = allocate(kLargeBytes);
    };
  }
  const { malloc, free } = contender;
  const kept = new Array<unknown>(kKept).fill(0n);
  return (index) => {
    const pointer = malloc(kLargeBytes);
    kept[index & (kKept - 1)] = pointer;
    free(pointer);
  };
}

export const kScriptWorkloads: readonly ScriptWorkload[] = [
  {
    name: "malloc-free-pair",
    question: "What does a block of 16 to 1024 bytes cost, got and given back at once?",
    steps: 1_000_000,
    operationsPerStep: 1,
    hasLatency: true,
    needs: [["malloc"]],
    prepare: preparePair,
  },
  {
    name: "burst",
    question: "What does a block cost when 1,000 of 16 to 1024 bytes are got first and then all given back?",
    steps: 200,
    operationsPerStep: kBurst,
    hasLatency: false,
    needs: [["malloc"], ["collected"]],
    prepare: prepareBurst,
  },
  {
    name: "malloc-view-free",
    question: "What does a block of 64 to 4096 bytes cost that JavaScript writes to?",
    steps: 300_000,
    operationsPerStep: 1,
    hasLatency: true,
    needs: [["malloc", "view"], ["collected"]],
    prepare: prepareMallocViewFree,
  },
  {
    name: "block",
    question: "What does a Block of 64 to 4096 bytes cost that is freed by hand, and whose bytes nobody asks for?",
    steps: 300_000,
    operationsPerStep: 1,
    hasLatency: true,
    needs: [["owned"], ["collected"]],
    prepare: (contender) => prepareOwned(contender, false),
  },
  {
    name: "block-bytes",
    question: "The same with bytes, which need an ArrayBuffer of their own: napi-external is the bare cost of one.",
    steps: 20_000,
    operationsPerStep: 1,
    hasLatency: true,
    needs: [["owned"], ["collected"], ["external"]],
    prepare: (contender) => prepareOwned(contender, true),
  },
  {
    name: "view",
    question: "What does a Uint8Array over 64 to 4096 bytes of a live block cost?",
    steps: 80_000,
    operationsPerStep: 1,
    hasLatency: true,
    needs: [["malloc", "view"]],
    prepare: prepareView,
  },
  {
    name: "calloc",
    question: "What does a zeroed block of 16 to 1024 bytes cost?",
    steps: 250_000,
    operationsPerStep: 1,
    hasLatency: true,
    needs: [["calloc"], ["collected", "zeroed"]],
    prepare: prepareCalloc,
  },
  {
    name: "realloc-growth",
    question: "What does a realloc cost while a block grows from 16 bytes to 64 KiB, half as much again each time?",
    steps: 8_000,
    operationsPerStep: growthSizes().length,
    hasLatency: false,
    needs: [["malloc", "realloc"]],
    prepare: prepareGrowth,
  },
  {
    name: "large",
    question: "What does a block of 1 MiB cost that nobody touches?",
    steps: 8_000,
    operationsPerStep: 1,
    hasLatency: true,
    needs: [["malloc"], ["collected"]],
    prepare: prepareLarge,
  },
];

/** Whether a contender can do what a workload needs. */
export function canDo(needs: ScriptWorkload["needs"], name: ScriptName): boolean {
  return needs.some((list) => list.every((ability) => kAbilities[name].includes(ability)));
}
