// The process's address space as the kernel tells it: what a hostile pointer could point into.
import { readFileSync } from "node:fs";
import { capabilities, snapshot } from "pagerun";

export interface MappedRange {
  readonly start: bigint;
  readonly end: bigint;
  readonly name: string;
}

/**
 * Every mapping but those that hold blocks of others: with libpagerun.so preloaded, all that lies without a gap beside
 * a page or a mapping of the heap, where Node.js may have a block at any address.
 */
export function rangesBesidesTheHeap(): MappedRange[] {
  const ranges = mappedRanges();
  if (!capabilities.preloaded) return ranges;
  const { pages, mappings } = snapshot();
  const heap = [...pages, ...mappings].map(({ address }) => address);
  const groups: MappedRange[][] = [];
  for (const range of ranges) {
    const group = groups.at(-1);
    if (group?.at(-1)?.end === range.start) group.push(range);
    else groups.push([range]);
  }
  return groups
    .filter((group) => !heap.some((address) => address >= group[0]!.start && address < group.at(-1)!.end))
    .flat();
}

/** Every mapping of this process, guards and reservations included. */
export function mappedRanges(): MappedRange[] {
  return readFileSync("/proc/self/maps", "utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [, start, end, name] = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+\s*(.*)$/.exec(line) ?? [];
      return { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), name: name ?? "" };
    });
}
