// Blocks of the heap whose memory has an ArrayBuffer already, that of its stretch: nearly all. Owns the DataView through
// which their accessors go from the start, and nothing that Block does not own.
//
// An access costs what DataView's costs, whose own check of bounds is the only one: V8 compiles it to a single compare,
// and takes all else out of a loop, as long as there is no branch in it that leads to a call. So an offset that is refused
// becomes one that DataView refuses, and what comes then is not compiled. But V8 compiles no such access again in a
// function in which one has thrown. That happens once: from then on all accesses are those of lib/accessors.ts, which
// ask first and never let DataView throw.
// Thread rule: as Block's.
import { openQuickly, quickMemoryOf, reach } from "./accessors.js";
import { Block, makeBlock, makerKey } from "./block.js";
import { bytesToEnd } from "./buckets.js";
import { nearBuffers, stretchBuffer } from "./buffers.js";
import { capabilities } from "./capabilities.js";
import type { BlockHome } from "./ledger.js";
import { placeOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";

const { isInteger } = Number;
const { externalViews } = capabilities;
const { halves } = mailbox;
const stretchShift = Math.log2(binding.stretchBytes);
const stretchMask = binding.stretchBytes - 1;

// The compiler folds a constant, but not an import.
const memoryOf = quickMemoryOf;

/** An offset that no DataView has. */
const refused = -1;

/** Whether an access was refused. An object that never changes but once: until then V8 takes it for a constant. */
const refusal = { isKnown: false };

/** The memory of a live block, `size` bytes at `ptr`; undefined where it is not all in one stretch. */
function memoryAt(ptr: bigint, size: number): DataView | undefined {
  if (size <= bytesToEnd(ptr)) {
    const low = halves[0]!;
    const buffer = nearBuffers[low >>> stretchShift]!;
    const offset = low & stretchMask;
    // A program can take the memory away from a buffer, by transfer() for example: then it is shorter.
    if (buffer.byteLength >= offset + size && buffer.byteLength !== 0) return new DataView(buffer, offset, size);
  }
  return memoryOfPlace(ptr, size);
}

function memoryOfPlace(ptr: bigint, size: number): DataView | undefined {
  const place = externalViews ? placeOf(ptr) : undefined;
  if (place === undefined || place.stretch === 0) return undefined;
  const buffer = stretchBuffer(place);
  return buffer ? new DataView(buffer, place.address - place.stretch, size) : undefined;
}

/** As `makeBlock`, of a block of the heap. */
export function makeHeapBlock(home: BlockHome, ptr: bigint, size: number, alignment: number): Block {
  const memory = memoryAt(ptr, size);
  return memory === undefined
    ? makeBlock(home, ptr, size, alignment)
    : new HeapBlock(makerKey, home, ptr, size, alignment, memory);
}

class HeapBlock extends Block {
  constructor(key: symbol, home: BlockHome, ptr: bigint, size: number, alignment: number, memory: DataView) {
    super(key, home, ptr, size, alignment);
    openQuickly(this, memory);
  }

  override resize(size: number | bigint): void {
    super.resize(size);
    const memory = memoryAt(this.ptr, this.size) ?? this.#memoryOfItsOwn();
    if (memory !== undefined) openQuickly(this, memory);
  }

  /** Memory that is not all in one stretch. */
  #memoryOfItsOwn(): DataView | undefined {
    try {
      return this[reach]("resize", 0, 0);
    } catch {
      return undefined;
    }
  }

  override getInt8(offset = 0): number {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getInt8(at);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getInt8(offset);
  }

  override getUint8(offset = 0): number {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getUint8(at);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getUint8(offset);
  }

  override getInt16(offset = 0): number {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getInt16(at, true);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getInt16(offset);
  }

  override getUint16(offset = 0): number {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getUint16(at, true);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getUint16(offset);
  }

  override getInt32(offset = 0): number {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getInt32(at, true);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getInt32(offset);
  }

  override getUint32(offset = 0): number {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getUint32(at, true);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getUint32(offset);
  }

  override getInt64(offset = 0): bigint {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getBigInt64(at, true);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getInt64(offset);
  }

  override getUint64(offset = 0): bigint {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getBigUint64(at, true);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getUint64(offset);
  }

  override getFloat32(offset = 0): number {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getFloat32(at, true);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getFloat32(offset);
  }

  override getFloat64(offset = 0): number {
    const at = isInteger(offset) ? offset : refused;
    if (!refusal.isKnown) {
      try {
        return memoryOf(this).getFloat64(at, true);
      } catch {
        refusal.isKnown = true;
      }
    }
    return super.getFloat64(offset);
  }

  override setInt8(offset: number, value: number): void {
    const at = isInteger(offset) && typeof value === "number" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setInt8(at, value);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setInt8(offset, value);
  }

  override setUint8(offset: number, value: number): void {
    const at = isInteger(offset) && typeof value === "number" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setUint8(at, value);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setUint8(offset, value);
  }

  override setInt16(offset: number, value: number): void {
    const at = isInteger(offset) && typeof value === "number" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setInt16(at, value, true);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setInt16(offset, value);
  }

  override setUint16(offset: number, value: number): void {
    const at = isInteger(offset) && typeof value === "number" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setUint16(at, value, true);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setUint16(offset, value);
  }

  override setInt32(offset: number, value: number): void {
    const at = isInteger(offset) && typeof value === "number" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setInt32(at, value, true);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setInt32(offset, value);
  }

  override setUint32(offset: number, value: number): void {
    const at = isInteger(offset) && typeof value === "number" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setUint32(at, value, true);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setUint32(offset, value);
  }

  override setInt64(offset: number, value: bigint): void {
    const at = isInteger(offset) && typeof value === "bigint" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setBigInt64(at, value, true);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setInt64(offset, value);
  }

  override setUint64(offset: number, value: bigint): void {
    const at = isInteger(offset) && typeof value === "bigint" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setBigUint64(at, value, true);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setUint64(offset, value);
  }

  override setFloat32(offset: number, value: number): void {
    const at = isInteger(offset) && typeof value === "number" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setFloat32(at, value, true);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setFloat32(offset, value);
  }

  override setFloat64(offset: number, value: number): void {
    const at = isInteger(offset) && typeof value === "number" ? offset : refused;
    if (!refusal.isKnown) {
      try {
        memoryOf(this).setFloat64(at, value, true);
        return;
      } catch {
        refusal.isKnown = true;
      }
    }
    super.setFloat64(offset, value);
  }
}
