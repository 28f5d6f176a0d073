// The process's address space as the kernel tells it: what a hostile pointer could point into.
import { readFileSync } from "node:fs";

export interface MappedRange {
  readonly start: bigint;
  readonly end: bigint;
  readonly name: string;
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
