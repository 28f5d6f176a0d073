// Hostile calls on memory that is reached by pointers: single values, strings, copies, structures, shared memory, blocks
// of made arenas and mapped pages; each after it was freed, moved, reset, destroyed or protected as well.
//
// What is live is read and written in bursts, long enough that the accessors keep the block at hand (lib/reach.ts), and
// compared with a copy that JavaScript has. What is over is read, and must be refused where no other thread can have been
// given its memory; it is written only there.
import * as pagerun from "pagerun";
import { HostileThread, traps } from "./hostile-thread.mjs";

const { Arena, array, calloc, chars, compare, copy, copyIn, copyOut, fill, free, malloc } = pagerun;
const { mapPages, realloc, struct, unmapPages, usableSize, view } = pagerun;
const byName = { ...pagerun };
const kilobyte = 1024;
const sizes = [0, 1, 8, 24, 100, 100, 1000, 3000, 12_000, 40_000, 300 * kilobyte, 3 * kilobyte * kilobyte];
const osPageBytes = 4096;
const modelBytes = 256;
const bytesOf = {
  Int8: 1,
  Uint8: 1,
  Int16: 2,
  Uint16: 2,
  Int32: 4,
  Uint32: 4,
  Int64: 8,
  Uint64: 8,
  Float32: 4,
  Float64: 8,
};
const types = Object.keys(bytesOf);
const methods = { Int64: "BigInt64", Uint64: "BigUint64" };
const isWide = (type) => type in methods;
const Header = struct({ kind: pagerun.u32, next: pagerun.pointer, label: chars(8), counts: array(pagerun.i16, 3) });
const protections = ["none", "read", "readWrite"];

export class HostilePointers extends HostileThread {
  #isAlone;
  /** Live memory: address, usable bytes, a copy of the first ones, and what it came from. */
  #live = [];
  #arenas = [];
  /** Addresses that were live. */
  #over = [];
  #traps = traps(() => 0);

  /** `isAlone`: no other thread allocates. */
  constructor(seed, isAlone) {
    super(seed);
    this.#isAlone = isAlone;
  }

  #add() {
    const size = this.one(sizes);
    const how = this.next(10);
    if (how === 0) {
      const mappedBytes = Math.ceil((size + 1) / osPageBytes) * osPageBytes;
      return this.#note(
        this.attempt("mapPages", () => mapPages(size + 1)),
        { isMapped: true, mappedBytes },
      );
    }
    if (how > 2)
      return this.#note(
        this.attempt("malloc", () => (how > 5 ? malloc(size) : calloc(1, size))),
        {},
      );
    if (this.#arenas.length < 3) this.#arenas.push(this.#newArena());
    const arena = this.one(this.#arenas);
    this.#note(
      this.attempt("arena.malloc", () => arena.malloc(size)),
      { arena },
    );
  }

  /** One that frees, allocates and throws when it is asked for room. */
  #newArena() {
    const profile = this.one(["fast", "fast", "hardened"]);
    const limit = this.one([Infinity, 100_000, 4000]);
    const onPressure = (arena) => {
      const [record] = this.#live.filter((one) => one.arena === arena);
      if (record !== undefined) this.#end(record);
      this.attempt("malloc within", () => arena.free(arena.malloc(10)));
    };
    return new Arena({ profile, limit, onPressure });
  }

  #note(ptr, from) {
    if (ptr === undefined) return;
    const length = from.mappedBytes ?? usableSize(ptr);
    const model = new DataView(copyOut(ptr, Math.min(length, modelBytes)).buffer);
    this.#live.push({ ptr, length, model, protection: 2, ...from });
  }

  #forget(record) {
    this.#live.splice(this.#live.indexOf(record), 1);
    if (this.#over.length > 50) this.#over.shift();
    this.#over.push(record.ptr);
  }

  /** Ends memory in one of the ways that there are. */
  #end(record) {
    this.#forget(record);
    const { ptr, arena, isMapped } = record;
    const ways = [() => free(ptr), () => pagerun.freeMany([ptr]), () => realloc(ptr, 0)];
    if (arena !== undefined)
      ways.push(
        () => arena.free(ptr),
        () => arena.realloc(ptr, 0),
      );
    this.attempt("end", isMapped ? () => unmapPages(ptr) : this.one(ways));
    this.#useEnded(ptr);
  }

  #get(type, ptr, offset) {
    return byName[`get${type}`](ptr, offset);
  }

  #set(type, ptr, offset, value) {
    byName[`set${type}`](ptr, offset, value);
  }

  /** Right after its end: nobody else of this thread can have been given the memory. */
  #useEnded(ptr) {
    if (!this.#isAlone) return this.#useOver(ptr);
    const type = this.one(types);
    const inner = ptr + BigInt(this.next(4));
    this.refused("get of what is over", () => this.#get(type, inner, this.next(40)));
    this.refused("set of what is over", () => this.#set(type, ptr, 0, isWide(type) ? 1n : 1));
    this.refused("copy from what is over", () => copyOut(inner, 1));
    this.refused("fill of what is over", () => fill(ptr, 1, 1));
    this.refused("string of what is over", () => pagerun.toString(inner));
    this.refused("structure of what is over", () => Header.at(ptr));
  }

  /** What may be somebody else's by now. */
  #useOver(ptr) {
    this.attempt("get of what may be over", () =>
      this.#get(this.one(types), ptr + BigInt(this.next(4)), this.next(40)),
    );
    this.attempt("toString of what may be over", () => pagerun.toString(ptr));
    this.attempt("copyOut of what may be over", () => copyOut(ptr, 8));
  }

  /** Reads and writes that fit, of one type, so many that the block is at hand in the end. */
  #burst({ ptr, model, protection }) {
    const type = this.one(types);
    const room = model.byteLength - bytesOf[type];
    if (room < 0 || protection === 0) return;
    const method = methods[type] ?? type;
    const inner = this.next(4) === 0 ? this.next(room + 1) : 0;
    const base = ptr + BigInt(inner);
    this.attempt("a burst", () => {
      for (let left = this.one([1, 5, 100]); left > 0; left--) {
        const offset = this.next(room - inner + 1);
        if (protection === 2 && this.next(2) === 0) {
          const value = isWide(type) ? BigInt(this.next(2 ** 31)) : this.next(128);
          model[`set${method}`](inner + offset, value, true);
          this.#set(type, base, offset, value);
        }
        const expected = model[`get${method}`](inner + offset, true);
        if (!Object.is(this.#get(type, base, offset), expected)) this.fail(`get${type}`);
      }
    });
  }

  /** Offsets, values and pointers of every kind; none may change what is there. */
  #strike({ ptr, length, isMapped }) {
    const type = this.one(types);
    const good = isWide(type) ? 1n : 1;
    const beyond = length - bytesOf[type] + 1 + this.next(100);
    this.refused("get beyond", () => this.#get(type, ptr, beyond));
    this.refused("set beyond", () => this.#set(type, ptr, beyond, good));
    this.refused("get below", () =>
      this.#get(type, ptr, this.one([-1, -8, -(2 ** 31), -(2 ** 32), 2 ** 32, Number.NaN])),
    );
    this.refused("set of no value", () =>
      this.#set(type, ptr, 0, this.one([undefined, "1", {}, Symbol(), ...this.#traps])),
    );
    const wrong = this.bigint(ptr);
    if (wrong !== 0n) this.refused("get of no pointer", () => this.#get(type, wrong, 0));
    this.refused("get of no bigint", () => this.#get(type, this.one([Number(ptr), `${ptr}`, null, ...this.#traps]), 0));
    this.refused("copy beyond", () => copy(ptr, ptr, length + 1));
    this.refused("fill beyond", () => fill(ptr, 1, length + this.one([1, 2 ** 40])));
    this.refused("compare beyond", () => compare(ptr, ptr + 1n, length));
    if (length < 100_000) this.refused("copyIn beyond", () => copyIn(ptr + 1n, new Uint8Array(length)));
    this.refused("export beyond", () => pagerun.exportString("text", ptr, length + 5));
    this.refused("structure beyond", () => Header.at(ptr + BigInt(length) - 1n));
    this.attempt("toBuffer", () => pagerun.toBuffer(ptr, this.value(this.#traps), this.one([true, false])));
    this.attempt("shared", () => pagerun.shared(ptr, this.one([0, 8, length, length + 1])));
    if (isMapped) this.refused("free of mapped pages", () => free(ptr));
    else this.refused("unmap of a block", () => unmapPages(ptr));
  }

  /** What goes in by one way comes out by the others. */
  #exchange({ ptr, length, model, protection }) {
    if (protection < 2 || length < 16) return;
    const text = "añb€".slice(0, this.next(5));
    this.attempt("exportString", () => pagerun.exportString(text, ptr, 16));
    if (this.attempt("toString", () => pagerun.toString(ptr)) !== text) this.fail("a string");
    const bytes = this.attempt("view", () => view(ptr, model.byteLength));
    if (compare(ptr, ptr, length) !== 0) this.fail("compare");
    this.attempt("exports", () => pagerun.exportBuffer(Buffer.from(bytes.slice(0, 8)), ptr + 8n, 8));
    this.attempt("exports", () =>
      pagerun.exportArrayBufferView(this.one([this.#detached(), bytes.subarray(0, 4)]), ptr, 8),
    );
    if (length >= Header.size) {
      const header = this.attempt("at", () => Header.at(ptr));
      this.attempt("assign", () => Header.assign(header, { kind: this.next(100), label: text.slice(0, 2) }));
      this.attempt("assign", () => Header.assign(header, { counts: this.value([]) }));
      if (header.label !== text.slice(0, 2)) this.fail("a structure");
    }
    new Uint8Array(model.buffer).set(copyOut(ptr, model.byteLength));
  }

  #detached() {
    const bytes = new Uint8Array(8);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    return bytes;
  }

  /** The ArrayBuffer under views loses its memory: accessors and further views must find it again. */
  #takeBuffer({ ptr, length, isMapped }) {
    if (isMapped || length === 0) return;
    const { buffer } = view(ptr, 1);
    this.calls++;
    try {
      if (this.next(2) === 0) structuredClone(buffer, { transfer: [buffer] });
      else buffer.transfer(this.next(2) * 1000);
    } catch (error) {
      // Some runtimes let no buffer like this go by a clone.
      if (error.name !== "DataCloneError") this.fail(`a transfer: ${error}`);
    }
  }

  #protect(record) {
    if (!record.isMapped) return;
    const to = this.next(3);
    const bytes = record.protection === 2 ? view(record.ptr, 8) : new Uint8Array(0);
    this.attempt("protectPages", () => {
      pagerun.protectPages(record.ptr, record.length, protections[to]);
      record.protection = to;
    });
    if (record.protection < 2) {
      if (bytes.length !== 0) this.fail("a view of protected pages");
      this.refused("set of protected pages", () => this.#set("Int32", record.ptr, 0, 1));
      this.refused("view of protected pages", () => view(record.ptr, 1));
    }
    if (record.protection === 0) this.refused("get of closed pages", () => this.#get("Int32", record.ptr, 0));
  }

  #resize(record) {
    if (record.isMapped) return;
    const { ptr, arena, model } = record;
    const size = this.one(sizes.slice(1));
    const to = this.attempt("realloc", () => (arena === undefined ? realloc(ptr, size) : arena.realloc(ptr, size)));
    // Without room, onPressure may have freed it.
    if (to === undefined || !this.#live.includes(record)) return;
    this.#live.splice(this.#live.indexOf(record), 1);
    if (to !== ptr) this.#over.push(ptr);
    this.#note(to, { arena });
    const kept = Math.min(model.byteLength, size, modelBytes);
    if (Buffer.compare(copyOut(to, kept), new Uint8Array(model.buffer, 0, kept)) !== 0) this.fail("what realloc keeps");
  }

  #endArena() {
    if (this.#arenas.length === 0) return;
    const arena = this.one(this.#arenas);
    const ended = this.#live.filter((record) => record.arena === arena);
    const views = ended.map(({ ptr }) => this.attempt("arena.view", () => arena.view(ptr, 1)));
    for (const record of ended) this.#forget(record);
    if (this.next(2) === 0) this.attempt("reset", () => arena.reset());
    else {
      arena.destroy();
      this.#arenas.splice(this.#arenas.indexOf(arena), 1);
      this.refused("malloc of what is destroyed", () => arena.malloc(1));
    }
    if (views.some((bytes) => bytes !== undefined && bytes.length !== 0)) this.fail("a view of an arena that ended");
    for (const { ptr } of ended.slice(0, 3)) this.#useEnded(ptr);
  }

  #check({ ptr, model, protection }) {
    if (protection === 0) return;
    if (Buffer.compare(copyOut(ptr, model.byteLength), new Uint8Array(model.buffer)) !== 0) this.fail("content");
  }

  step() {
    if (this.#live.length < 20 || (this.#live.length < 40 && this.next(3) === 0)) this.#add();
    if (this.#live.length === 0) return;
    const record = this.one(this.#live);
    this.#burst(record);
    const actions = [
      () => this.#strike(record),
      () => this.#end(record),
      () => this.#end(this.one(this.#live)),
      () => this.#exchange(record),
      () => this.#resize(record),
      () => this.#protect(record),
      () => this.#check(record),
      () => this.next(4) === 0 && this.#takeBuffer(record),
      () => this.next(8) === 0 && this.#endArena(),
      () => this.#over.length > 0 && this.#useOver(this.one(this.#over)),
    ];
    this.one(actions)();
    if (this.#live.includes(record)) this.#burst(record);
  }

  /** Frees everything. */
  clear() {
    for (const record of [...this.#live]) {
      if (!this.#live.includes(record)) continue;
      this.#check(record);
      this.#end(record);
    }
    for (const arena of this.#arenas) arena.destroy();
  }
}
