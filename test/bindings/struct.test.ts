// Structures of C: layout as the compiler's, fields in place, and everything that a field refuses.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import koffi from "koffi";
import {
  addressOf,
  array,
  bool,
  calloc,
  chars,
  copyOut,
  cString,
  exportString,
  type FieldType,
  f32,
  f64,
  free,
  i8,
  i16,
  i32,
  i64,
  malloc,
  mapPages,
  pointer,
  protectPages,
  type StructType,
  struct,
  u8,
  u16,
  u32,
  u64,
  union,
  unmapPages,
  usize,
  view,
} from "pagerun";
import { describe, expect, test } from "vitest";
import { codeOf, isOwnHeap, thrownBy, verifyAfterEach } from "../support/heap.js";
import { foreignPointers, notNumeric, wrongPointers } from "../support/hostile.js";

verifyAfterEach();

type AnyStruct = StructType<Record<string, FieldType<unknown, never>>>;

/** Numbers that a seed gives. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Compiles C with the compiler that builds the addon too; returns the folder, which the caller removes. */
function compile(source: string, ...options: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "pagerun-struct-"));
  writeFileSync(join(folder, "source.c"), source);
  const { LD_PRELOAD: _, ...env } = process.env;
  const args = [...options, "-o", join(folder, "result"), join(folder, "source.c")];
  const { status, stderr } = spawnSync("gcc", args, { encoding: "utf8", env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return folder;
}

interface Declared {
  name: string;
  /** The declaration in C. */
  text: string;
  type: AnyStruct;
}

const scalars: [string, FieldType<unknown, never>][] = [
  ["int8_t", i8],
  ["uint8_t", u8],
  ["int16_t", i16],
  ["uint16_t", u16],
  ["int32_t", i32],
  ["uint32_t", u32],
  ["int64_t", i64],
  ["uint64_t", u64],
  ["size_t", usize],
  ["float", f32],
  ["double", f64],
  ["bool", bool],
  ["void *", pointer],
  ["const char *", cString],
];

/** A random structure or union, whose fields may be of those that were declared before. */
function declare(name: string, known: readonly Declared[], next: (below: number) => number): Declared {
  const fields: Record<string, FieldType<unknown, never>> = {};
  const lines: string[] = [];
  for (let i = 0; i <= next(9); i++) {
    const length = 1 + next(7);
    const kind = next(10);
    if (kind === 0) {
      fields[`f${i}`] = chars(length);
      lines.push(`char f${i}[${length}];`);
      continue;
    }
    const nested = known.length > 0 && kind < 4 ? known[next(known.length)]! : undefined;
    const [text, type] = nested
      ? [nested.name, nested.type as FieldType<unknown, never>]
      : scalars[next(scalars.length)]!;
    const isArray = next(4) === 0;
    fields[`f${i}`] = isArray ? (array(type, length) as FieldType<unknown, never>) : type;
    lines.push(`${text} f${i}${isArray ? `[${length}]` : ""};`);
  }
  const kind = next(5);
  const type = kind === 0 ? union(fields) : struct(fields, { packed: kind === 1 });
  const text = `typedef ${kind === 0 ? "union" : "struct"} { ${lines.join(" ")} } ${kind === 1 ? "__attribute__((packed)) " : ""}${name};`;
  return { name, text, type };
}

describe("layout", () => {
  test("is the C compiler's, for hundreds of structures that a seed composes", () => {
    const seed = Number(process.env.PAGERUN_TEST_SEED ?? Date.now() % 2 ** 32);
    const next = numbersFrom(seed);
    const declared: Declared[] = [];
    for (let i = 0; i < 300; i++) declared.push(declare(`S${i}`, declared.slice(-20), next));
    const prints = declared.map(({ name, type }) => {
      const offsets = type.fields.map((field) => `printf(" %zu", offsetof(${name}, ${field}));`);
      return `printf("%zu %zu", sizeof(${name}), _Alignof(${name})); ${offsets.join(" ")} puts("");`;
    });
    const headers = ["stdbool", "stddef", "stdint", "stdio"].map((header) => `#include <${header}.h>\n`).join("");
    const texts = declared.map(({ text }) => text).join("\n");
    const folder = compile(`${headers}${texts}\nint main(void) { ${prints.join("\n")} return 0; }\n`);
    const { stdout } = spawnSync(join(folder, "result"), { encoding: "utf8" });
    rmSync(folder, { recursive: true });
    const lines = stdout.trim().split("\n");
    expect(lines).toHaveLength(declared.length);
    declared.forEach(({ text, type }, i) => {
      const found = [type.size, type.align, ...type.fields.map((field) => type.offsetOf(field))].join(" ");
      expect(found, `seed ${seed}: ${text}`).toBe(lines[i]);
    });
  }, 60_000);

  test("has the first field at the structure's own address", () => {
    const Hat = struct({ size: i32, colorCode: i32 });
    const ptr = malloc(Hat.size);
    const hat = Hat.at(ptr);
    expect([addressOf(hat), addressOf(hat, "size"), addressOf(hat, "colorCode")]).toEqual([ptr, ptr, ptr + 4n]);
    expect([Hat.size, Hat.align, Hat.fields]).toEqual([8, 4, ["size", "colorCode"]]);
    free(ptr);
  });
});

describe("fields", () => {
  const Everything = struct({
    a: i8,
    b: u8,
    c: i16,
    d: u16,
    e: i32,
    f: u32,
    g: i64,
    h: u64,
    i: f32,
    j: f64,
    k: bool,
    l: usize,
    m: pointer,
  });
  const values = {
    a: -128,
    b: 255,
    c: -32768,
    d: 65535,
    e: -(2 ** 31),
    f: 2 ** 32 - 1,
    g: -(2n ** 63n),
    h: 2n ** 64n - 1n,
    i: 0.5,
    j: Math.PI,
    k: true,
    l: 4096n,
    m: 2n ** 47n,
  };

  test("of every type are read and written in place", () => {
    const all = Everything.alloc(values);
    expect(Everything.toObject(all)).toEqual(values);
    const bytes = Buffer.from(copyOut(addressOf(all), Everything.size));
    expect(bytes.readInt32LE(Everything.offsetOf("e"))).toBe(values.e);
    expect(bytes.readDoubleLE(Everything.offsetOf("j"))).toBe(Math.PI);
    view(addressOf(all, "b"), 1)[0] = 7;
    expect(all.b).toBe(7);
    all.g = -1n;
    expect(view(addressOf(all, "g"), 8).every((byte) => byte === 255)).toBe(true);
    expect(Object.keys(all)).toEqual([]);
    expect(inspect(all)).toContain("b: 7");
    free(addressOf(all));
  });

  test("take no value that they cannot hold, and stay as they were", () => {
    const all = Everything.alloc(values);
    const wrong: Record<keyof typeof values, readonly unknown[]> = {
      a: [128, -129, 0.5, Number.NaN, 1n],
      b: [-1, 256, "1"],
      c: [2 ** 15],
      d: [-1],
      e: [2 ** 31],
      f: [-1, 2 ** 32],
      g: [2n ** 63n, 0.5],
      h: [-1n, 2n ** 64n, -1],
      i: ["1", 1n],
      j: [null, {}],
      k: [1, 0, "true", null],
      l: [-1n],
      m: [-1n, 2n ** 64n, null],
    };
    for (const [name, list] of Object.entries(wrong)) {
      for (const value of list) {
        expect(
          codeOf(() => Object.assign(all, { [name]: value })),
          `${name} ${String(value)}`,
        ).toBe("ERR_INVALID_ARGUMENT");
      }
    }
    expect(Everything.toObject(all)).toEqual(values);
    free(addressOf(all));
  });

  test("may be structures, arrays and unions, as deep as one likes", () => {
    const Point = struct({ x: f64, y: f64 });
    const Shape = struct({
      kind: u8,
      points: array(Point, 3),
      weights: array(array(i16, 2), 2),
      both: union({ n: u32, f: f32 }),
    });
    const shape = Shape.alloc({
      kind: 1,
      points: [{ x: 1 }, { y: 2 }, { x: 3, y: 4 }],
      weights: [
        [1, 2],
        [3, 4],
      ],
    });
    shape.points.get(1).x = 9;
    shape.points.set(0, shape.points.get(2));
    shape.both.f = 1;
    expect(Shape.toObject(shape)).toEqual({
      kind: 1,
      points: [
        { x: 3, y: 4 },
        { x: 9, y: 2 },
        { x: 3, y: 4 },
      ],
      weights: [
        [1, 2],
        [3, 4],
      ],
      both: { n: 0x3f800000, f: 1 },
    });
    expect(shape.points.ptr).toBe(addressOf(shape, "points"));
    expect(addressOf(shape.points.get(2))).toBe(shape.points.ptr + 32n);
    for (const index of [-1, 3, 0.5, Number.NaN, 2 ** 40, "0", 1n])
      expect(codeOf(() => shape.points.get(index as number))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => Shape.assign(shape, { points: [] }))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => Shape.assign(shape, { points: 5 as never }))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => Shape.assign(shape, { kidn: 1 } as never))).toBe("ERR_INVALID_ARGUMENT");
    free(addressOf(shape));
  });

  test("of text hold it inside, or point to it", () => {
    const Person = struct({ tag: chars(8), name: cString, after: u8 });
    const name = calloc(32);
    exportString("Grace Höpper", name, 32);
    const person = Person.alloc({ tag: "äbc", name, after: 5 });
    expect([person.tag, person.name, person.after]).toEqual(["äbc", "Grace Höpper", 5]);
    person.tag = "12345678";
    expect(person.tag).toBe("12345678");
    expect(codeOf(() => Object.assign(person, { tag: "123456789" }))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => Object.assign(person, { tag: "ääääa" }))).toBe("ERR_INVALID_ARGUMENT");
    person.tag = "";
    expect([person.tag, person.after]).toEqual(["", 5]);
    Person.assign(person, { name: null });
    expect(person.name).toBeNull();
    expect(codeOf(() => Person.assign(person, { name: "text" as never }))).toBe("ERR_INVALID_ARGUMENT");
    Person.assign(person, { name: 4096n });
    expect(codeOf(() => person.name)).toMatch(/ERR_FOREIGN_POINTER|ERR_OUT_OF_BOUNDS/);
    free(name);
    free(addressOf(person));
  });

  test("may be called as they like, but only as C allows", () => {
    const Odd = struct({
      ptr: i32,
      size: i32,
      constructor: i8,
      toString: i8,
      valueOf: i8,
      hasOwnProperty: i8,
      later: u8,
    });
    const odd = Odd.alloc({
      ptr: 1,
      size: 2,
      constructor: 3,
      toString: 4,
      valueOf: 5,
      hasOwnProperty: 6,
      later: 7,
    } as never);
    expect(Object.values(Odd.toObject(odd))).toEqual([1, 2, 3, 4, 5, 6, 7]);
    free(addressOf(odd));
    for (const name of ["", "1", "a b", "a-b", "0x", "ä"])
      expect(codeOf(() => struct({ [name]: i32 }))).toBe("ERR_INVALID_ARGUMENT");
  });
});

describe("at", () => {
  const Header = struct({ magic: u32, length: u64, name: chars(16) });

  test("lays a structure anywhere inside a mapping, and refuses one that does not lie wholly in it", () => {
    const base = mapPages(4096);
    const header = Header.at(base + 700n);
    header.magic = 0xfeedface;
    header.name = "first";
    expect(Buffer.from(copyOut(base + 700n, 4)).readUInt32LE()).toBe(0xfeedface);
    expect(addressOf(header)).toBe(base + 700n);
    const last = 4096n - BigInt(Header.size);
    Header.at(base + last).length = 2n ** 64n - 1n;
    for (const beyond of [1n, 8n, BigInt(Header.size) - 1n])
      expect(thrownBy(() => Header.at(base + last + beyond))).toMatchObject({ code: "ERR_OUT_OF_BOUNDS" });
    for (const ptr of [base + 4096n, base - 1n])
      expect(codeOf(() => Header.at(ptr))).toMatch(/ERR_OUT_OF_BOUNDS|ERR_FOREIGN_POINTER/);
    protectPages(base, 4096, "read");
    expect([header.magic, header.name]).toEqual([0xfeedface, "first"]);
    for (const write of [() => (header.magic = 1), () => (header.name = "x"), () => (header.length = 1n)])
      expect(codeOf(write)).toBe("ERR_PROTECTED_PAGES");
    protectPages(base, 4096, "none");
    expect(codeOf(() => header.magic)).toBe("ERR_PROTECTED_PAGES");
    unmapPages(base);
    expect(codeOf(() => header.magic)).toMatch(/ERR_OUT_OF_BOUNDS|ERR_FOREIGN_POINTER/);
  });

  test("takes any address in a live block that has room behind it, and nothing else", () => {
    const ptr = malloc(1000);
    for (const offset of [0n, 1n, 7n, 500n]) {
      const header = Header.at(ptr + offset);
      header.length = offset;
      expect(Header.at(ptr + offset).length).toBe(offset);
    }
    expect(codeOf(() => Header.at(ptr + 1100n))).toMatch(/ERR_OUT_OF_BOUNDS|ERR_FOREIGN_POINTER/);
    for (const wrong of [...foreignPointers, ...wrongPointers, 0n])
      expect(codeOf(() => Header.at(wrong))).toMatch(/ERR_OUT_OF_BOUNDS|ERR_FOREIGN_POINTER/);
    for (const { value } of notNumeric) expect(codeOf(() => Header.at(value as bigint))).toBe("ERR_INVALID_ARGUMENT");
    free(ptr);
  });

  test.runIf(isOwnHeap)("gives nothing that is still read or written once the block is free", () => {
    const header = Header.alloc({ magic: 1 });
    const points = Header.allocArray(10);
    free(addressOf(header));
    free(points.ptr);
    for (const call of [() => header.magic, () => (header.magic = 2), () => header.name, () => points.get(3).length])
      expect(codeOf(call)).toBe("ERR_OUT_OF_BOUNDS");
  });

  test("of an array has its elements in a row, and all of it within the block", () => {
    const many = Header.allocArray(5);
    for (let i = 0; i < 5; i++) many.get(i).length = BigInt(i);
    expect([...Header.arrayAt(many.ptr, 5)].map(({ length }) => length)).toEqual([0n, 1n, 2n, 3n, 4n]);
    expect(codeOf(() => Header.arrayAt(many.ptr, 500))).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => Header.arrayAt(many.ptr, 2 ** 53 - 1))).toBe("ERR_OUT_OF_BOUNDS");
    for (const length of [0, -1, 0.5, 1n, "1"])
      expect(codeOf(() => Header.arrayAt(many.ptr, length as number))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => Header.allocArray(2 ** 44))).toBe("ERR_OUT_OF_MEMORY");
    free(many.ptr);
  });
});

describe("hostile input", () => {
  test("is no structure: fields, types and lengths of every wrong kind", () => {
    for (const { value } of notNumeric) {
      // An object's fields are asked for, whatever its getters do then.
      if (typeof value !== "object" || value === null)
        expect(codeOf(() => struct(value as never))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => struct({ a: value as never }))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => array(value as never, 1))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => array(i8, value as never))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => chars(value as never))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => addressOf(value as never))).toBe("ERR_INVALID_ARGUMENT");
    }
    const imitation = Object.freeze(Object.create(Object.getPrototypeOf(i32), { size: { value: 4 } }));
    expect(codeOf(() => struct({ a: imitation }))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => struct({}))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => struct({ a: i8 }, { packed: 1 as never }))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => array(array(array(i64, 2 ** 20), 2 ** 20), 2 ** 20))).toBe("ERR_INVALID_ARGUMENT");
  });

  test("does not change what was made, and accessors work on structures alone", () => {
    const Pair = struct({ a: i32, b: i32 });
    const pair = Pair.alloc({ a: 1, b: 2 });
    expect(() => Object.assign(Pair, { size: 1000 })).toThrow(TypeError);
    expect(() => Object.assign(i32, { size: 1000 })).toThrow(TypeError);
    expect(() => Object.defineProperty(pair, "a", { value: 5 })).toThrow(TypeError);
    const get = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(pair), "a")?.get;
    for (const wrong of [{}, null, 5, new Proxy(pair, {}), Object.create(pair)])
      expect(codeOf(() => get?.call(wrong))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => Pair.assign(struct({ a: i32, b: i32 }).at(addressOf(pair)) as never, {}))).toBe(
      "ERR_INVALID_ARGUMENT",
    );
    expect(codeOf(() => Pair.offsetOf("c" as never))).toBe("ERR_INVALID_ARGUMENT");
    free(addressOf(pair));
  });

  test.runIf(isOwnHeap)("may free the block in the middle of an assignment: an error, and the heap is whole", () => {
    const Pair = struct({ a: array(i32, 2), b: i32 });
    const pair = Pair.alloc();
    function* values(): Generator<number> {
      yield 1;
      free(addressOf(pair));
      yield 2;
    }
    expect(codeOf(() => Pair.assign(pair, { a: values() }))).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => Pair.alloc({ b: "x" as never }))).toBe("ERR_INVALID_ARGUMENT");
  });
});

test("native functions take structures by their address, through koffi", () => {
  const Item = struct({ id: u8, weight: f64, name: chars(12), next: pointer });
  const folder = compile(
    `#include <stdint.h>
     #include <string.h>
     struct item { uint8_t id; double weight; char name[12]; struct item *next; };
     double sum(const struct item *item) { double all = 0; for (; item; item = item->next) all += item->weight; return all; }
     void rename_all(struct item *item, const char *name) { for (; item; item = item->next) strcpy(item->name, name), item->id++; }`,
    "-shared",
    "-fPIC",
  );
  const library = koffi.load(join(folder, "result"));
  const items = Item.allocArray(3);
  [...items].forEach((item, i) => {
    Item.assign(item, { id: i, weight: i + 0.5, next: i === 2 ? 0n : addressOf(items.get(i + 1)) });
  });
  expect(library.func("double sum(void *item)")(items.ptr)).toBe(4.5);
  library.func("void rename_all(void *item, const char *name)")(items.ptr, "renamed");
  expect([...items].map(({ id, name }) => `${id} ${name}`)).toEqual(["1 renamed", "2 renamed", "3 renamed"]);
  expect(readFileSync("/proc/self/maps", "utf8")).toContain(folder);
  library.unload();
  rmSync(folder, { recursive: true });
  free(items.ptr);
});
