// Owns the reading of a trace in JavaScript: from the bytes that bench/traces/README.md describes to arrays of events.
// Does not decompress and does not replay. Pure functions, no state.

export const kMalloc = 0;
export const kCalloc = 1;
export const kAligned = 2;
export const kRealloc = 3;
export const kFree = 4;

/** Events in the order in which they were recorded; element i of each array belongs to event i. */
export interface Trace {
  name: string;
  threads: number;
  blocks: number;
  operations: Uint8Array;
  /** Bytes asked for; 0 for a free. */
  sizes: Float64Array;
  /** Number of the block that the event makes, resizes or frees. */
  ids: Uint32Array;
}

const kMagic = "prtrace\u0001";
const kChecksumBytes = 4;
const kOperations = 5;
const kColumns = 5;
const kOperationMask = 7;
const kOtherThread = 8;

/** Reads numbers one behind the other. Throws where the bytes end too early. */
class Cursor {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new Error("the trace ends in the middle of a number");
    return value;
  }

  /** An unsigned LEB128 number, exact up to 2^53. */
  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const next = this.byte();
      value += (next & 127) * scale;
      if (next < 128) return value;
    }
  }

  text(): string {
    const size = this.number();
    this.at += size;
    return new TextDecoder().decode(this.bytes.subarray(this.at - size, this.at));
  }
}

interface Header {
  name: string;
  threads: number;
  events: number;
  blocks: number;
  columns: Cursor[];
}

function readHeader(bytes: Uint8Array): Header {
  if (new TextDecoder().decode(bytes.subarray(0, kMagic.length)) !== kMagic) {
    throw new Error("this is not a trace of version 1");
  }
  const cursor = new Cursor(bytes, kMagic.length + kChecksumBytes);
  const name = cursor.text();
  cursor.text(); // program
  cursor.text(); // command
  const threads = cursor.number();
  const events = cursor.number();
  const blocks = cursor.number();
  // Peak live bytes, peak live blocks, and the count of each operation: sums of what follows.
  for (let sum = 0; sum < 2 + kOperations; sum++) cursor.number();
  const lengths = Array.from({ length: kColumns }, () => cursor.number());
  const columns: Cursor[] = [];
  let start = cursor.at;
  for (const length of lengths) {
    columns.push(new Cursor(bytes.subarray(0, start + length), start));
    start += length;
  }
  if (start !== bytes.length) throw new Error("the columns of the trace do not fill its file");
  return { name, threads, events, blocks, columns };
}

/** Reads a trace. Throws an error that says what is wrong with one that is cut off or not of this format. */
export function readTrace(bytes: Uint8Array): Trace {
  const { name, threads, events, blocks, columns } = readHeader(bytes);
  const [kindColumn, threadColumn, sizeColumn, , distanceColumn] = columns as [Cursor, Cursor, Cursor, Cursor, Cursor];
  const operations = new Uint8Array(events);
  const sizes = new Float64Array(events);
  const ids = new Uint32Array(events);
  let made = 0;
  for (let event = 0; event < events; event++) {
    const kind = kindColumn.byte();
    const operation = kind & kOperationMask;
    if (operation > kFree) throw new Error(`event ${event} of the trace has no operation ${operation}`);
    if (kind & kOtherThread) threadColumn.number();
    if (operation !== kFree) sizes[event] = sizeColumn.number();
    const id = operation < kRealloc ? made++ : made - 1 - distanceColumn.number();
    if (id < 0) throw new Error(`event ${event} of the trace names a block before it was made`);
    operations[event] = operation;
    ids[event] = id;
  }
  if (made !== blocks) throw new Error(`the trace makes ${made} blocks and says ${blocks}`);
  return { name, threads, blocks, operations, sizes, ids };
}
