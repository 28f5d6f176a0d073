// The public interface of pagerun. Owns the list of names and nothing else.
export { type AllocOptions, alloc } from "./alloc.js";
export { Arena, type ArenaOptions, type ArenaPressure } from "./arena.js";
export { Block } from "./block.js";
export { type Capabilities, capabilities } from "./capabilities.js";
export { PagerunError, type PagerunErrorCode, type PagerunErrorOf, type PagerunFailures } from "./errors.js";
export {
  exportArrayBuffer,
  exportArrayBufferView,
  exportBuffer,
  exportString,
  getRawPointer,
  toArrayBuffer,
  toBuffer,
  toString,
} from "./exchange.js";
export {
  array,
  bool,
  type CStringType,
  chars,
  cString,
  type FieldType,
  type FixedArray,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  pointer,
  u8,
  u16,
  u32,
  u64,
  usize,
} from "./field-types.js";
export {
  getFloat32,
  getFloat64,
  getInt8,
  getInt16,
  getInt32,
  getInt64,
  getUint8,
  getUint16,
  getUint32,
  getUint64,
} from "./getters.js";
export { alignedAlloc, calloc, free, freeMany, malloc, mallocMany, realloc, usableSize } from "./heap.js";
export { setLeakWarnings } from "./leaks.js";
export { mark } from "./mark.js";
export { compare, copy, fill } from "./moves.js";
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
export { type PurgeOptions, purge, setBudget } from "./purge.js";
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
export { SecureArena, type SecureArenaOptions } from "./secure-arena.js";
export {
  setFloat32,
  setFloat64,
  setInt8,
  setInt16,
  setInt32,
  setInt64,
  setUint8,
  setUint16,
  setUint32,
  setUint64,
} from "./setters.js";
export { shared } from "./shared.js";
export {
  addressOf,
  type Fields,
  type StructInput,
  type StructOptions,
  type StructType,
  type StructValue,
  struct,
  union,
} from "./struct.js";
export { type TextbookBlock, TextbookHeap, type TextbookHeapOptions, type TextbookPage } from "./textbook.js";
export { type UncheckedAccess, unchecked } from "./unchecked.js";
export { copyIn, copyOut, view } from "./view.js";
