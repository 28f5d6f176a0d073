// Owns the life of a step's own heap. Thread rule: any thread.
import { TextbookHeap, type TextbookHeapOptions } from "../textbook.js";
import type { Piece } from "./picture.js";

/** Runs `scene` on a new heap, checks what it left, and ends the heap. */
export function onHeap(options: TextbookHeapOptions, scene: (heap: TextbookHeap) => Piece[]): Piece[] {
  const heap = new TextbookHeap(options);
  try {
    const pieces = scene(heap);
    heap.check();
    return pieces;
  } finally {
    heap.destroy();
  }
}
