// The public interface of pagerun. Owns the list of names and nothing else.
export { type AllocOptions, alloc } from "./alloc.js";
export { Block } from "./block.js";
export { type Capabilities, capabilities } from "./capabilities.js";
export { PagerunError, type PagerunErrorCode, type PagerunErrorOf, type PagerunFailures } from "./errors.js";
export { alignedAlloc, calloc, free, malloc, realloc, usableSize } from "./heap.js";
export { setLeakWarnings } from "./leaks.js";
export {
  advisePages,
  type MapPagesOptions,
  mapPages,
  type PageAdvice,
  type PageProtection,
  protectPages,
  residentPages,
  unmapPages,
} from "./pages.js";
export {
  type ArenaSnapshot,
  type MappingSnapshot,
  type MemoryStats,
  memoryStats,
  type PageSnapshot,
  type RangeSnapshot,
  type RunSnapshot,
  type Snapshot,
  snapshot,
  type Verdict,
  verify,
} from "./report.js";
export { type TextbookBlock, TextbookHeap, type TextbookHeapOptions, type TextbookPage } from "./textbook.js";
export { copyIn, copyOut, view } from "./view.js";
