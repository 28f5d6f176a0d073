// The steps about threads: several on one free list, and on arenas. The threads are real, and so are the figures.
// Owns nothing between calls. Thread rule: any thread; it is busy for about a second while it measures.
import { availableParallelism } from "node:os";
import { type Contention, measureContention } from "../contention.js";
import type { TextbookHeapOptions } from "../textbook.js";
import { blocksOf } from "./heap-pictures.js";
import { onHeap } from "./on-heap.js";
import { type BarsPicture, code, type Piece, type TablePicture, text } from "./picture.js";
import type { Step } from "./step.js";

const milliseconds = 40;
const rounds = 7;

interface Contender {
  readonly name: string;
  readonly threads: number;
  readonly arenas: number;
}

interface Measured {
  readonly name: string;
  readonly result: Contention;
}

function measureOnce({ name, threads, arenas }: Contender): Measured[] {
  const result = measureContention({ threads, arenas, choice: "modulo", lock: "adaptive", milliseconds });
  return result === undefined ? [] : [{ name, result }];
}

/** The middle round of each, by throughput. The rounds go through all in turn. */
function measure(contenders: readonly Contender[]): Measured[] {
  const all = Array.from({ length: rounds }, () => contenders.flatMap(measureOnce)).flat();
  return contenders.flatMap(({ name }) => {
    const own = all.filter((measured) => measured.name === name);
    own.sort((a, b) => a.result.operationsPerSecond - b.result.operationsPerSecond);
    return own.slice(own.length >> 1, (own.length >> 1) + 1);
  });
}

function millions(perSecond: number): string {
  return `${(perSecond / 1e6).toFixed(2)} million a second`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

function throughputBars(title: string, measured: readonly Measured[]): BarsPicture {
  const bars = measured.map(({ name, result }) => ({
    name,
    value: result.operationsPerSecond,
    text: millions(result.operationsPerSecond),
  }));
  return { kind: "bars", title, bars };
}

function waitTable(measured: readonly Measured[]): TablePicture {
  return {
    kind: "table",
    title: "What the threads did besides",
    head: ["", "found the lock held", "of their time, waited for locks"],
    rows: measured.map(({ name, result }) => [name, percent(result.refusedShare), percent(result.waitedShare)]),
  };
}

/** The throughput of one as a multiple of another's. */
function times(one: Measured | undefined, other: Measured | undefined): string {
  if (one === undefined || other === undefined) return "a part as much";
  return `${(one.result.operationsPerSecond / other.result.operationsPerSecond).toFixed(2)} times as much`;
}

function oneList(): Piece[] {
  const measured = measure([
    { name: "1 thread, one list", threads: 1, arenas: 1 },
    { name: "2 threads, one list", threads: 2, arenas: 1 },
    { name: "4 threads, one list", threads: 4, arenas: 1 },
  ]);
  return [
    text(
      "Two threads that change one list at the same time would break it. So the list gets a lock: whoever wants to allocate or to free takes it, and everybody else waits. That is contention.",
    ),
    text(
      `This was measured just now, on this machine with ${availableParallelism()} hardware threads: each thread frees one of its own few blocks and allocates another one, again and again. The middle one of ${rounds} rounds counts. What else runs on the machine is in the figures; run the step again to see how much.`,
    ),
    throughputBars("free and malloc, all threads together", measured),
    waitTable(measured),
    text(
      `Two threads on two cores could do twice the work of one. These did ${times(measured[1], measured[0])} as one alone: only one thread at a time is inside, and lock and list travel from core to core each time.`,
    ),
  ];
}

function twoArenas(): Piece[] {
  const measured = measure([
    { name: "2 threads, one arena", threads: 2, arenas: 1 },
    { name: "2 threads, two arenas", threads: 2, arenas: 2 },
  ]);
  return [
    text(
      "The way out is more than one list. Each is called an arena, with a lock of its own, and a thread has some rule by which it picks one: thread number t takes arena t % n, or a random one, or the one that is waited for least.",
    ),
    throughputBars("free and malloc, both threads together", measured),
    waitTable(measured),
    text(`With an arena for each, the two threads did ${times(measured[1], measured[0])} as with one.`),
    text(
      "How many arenas, and by which rule, is a question for a measurement: `npm run bench -- --suite contention` in the repository asks it for many numbers of threads and arenas, all rules, and several kinds of locks.",
    ),
  ];
}

/** A few blocks in two arenas, drawn by where each came from. */
function originPieces(title: string, options: TextbookHeapOptions): Piece[] {
  return onHeap(options, (heap) => {
    for (const bytes of [24, 40, 24, 40]) heap.malloc(bytes);
    // Chance may have put all into one arena.
    while (new Set(heap.blocks().map(({ arena }) => arena)).size < heap.arenas) heap.malloc(24);
    return [blocksOf(title, heap)];
  });
}

function origins(): Piece[] {
  return [
    text(
      "A block must go back to the arena that it came from, whichever thread frees it. Plan A: the header carries the number of the arena, behind the size. Plan B: the address alone tells, because each arena has its addresses from a range of its own.",
    ),
    code(`new TextbookHeap({ kind: "arenas", arenas: 2, choice: "random", origin: "header", fieldBytes: 4 });`),
    ...originPieces("Plan A: every header is a field longer", {
      kind: "arenas",
      arenas: 2,
      choice: "random",
      origin: "header",
      fieldBytes: 4,
    }),
    code(`new TextbookHeap({ kind: "arenas", arenas: 2, choice: "random", origin: "address", fieldBytes: 4 });`),
    ...originPieces("Plan B: the size is all that a header has", {
      kind: "arenas",
      arenas: 2,
      choice: "random",
      origin: "address",
      fieldBytes: 4,
    }),
    text(
      "Plan A costs a field in every block, and believes bytes that lie in the user's memory. Plan B costs a little arithmetic at each free, and asks nothing of the user's memory for it.",
    ),
  ];
}

export const arenaSteps: readonly Step[] = [
  { id: "one-lock", title: "Threads contend for one list", run: oneList },
  { id: "arenas", title: "Two arenas instead of one list", run: twoArenas },
  { id: "origin", title: "Which arena did a block come from?", run: origins },
];
