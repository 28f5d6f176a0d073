// The step about Heartbleed: the same server function, with its bug, on each allocator, and what an attacker reads.
// Owns nothing between calls. Thread rule: any thread. The secret is a text of this file, not anybody's.
import { alloc } from "../alloc.js";
import type { Block } from "../block.js";
import { PagerunError } from "../errors.js";
import { free, malloc } from "../heap.js";
import { TextbookHeap, type TextbookHeapOptions } from "../textbook.js";
import { copyIn, copyOut } from "../view.js";
import { code, type DumpPicture, type Part, type Piece, type TablePicture, text } from "./picture.js";
import type { Step } from "./step.js";

export const secret = "-----PRIVATE KEY----- 0a7f:c4:99:the-goat-is-brown";
const greeting = "hello";
const claimed = 5000;
const keyOffset = 64;
const rowBytes = 16;
const shownBytes = 96;

const encode = (words: string) => new TextEncoder().encode(words);
const decode = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

/** Memory as a server written in C sees it: blocks, and a memcpy that believes its length. */
export interface ServerMemory {
  readonly name: string;
  allocate(bytes: number): bigint;
  write(ptr: bigint, bytes: Uint8Array): void;
  /** memcpy out of the block: may throw where the memory has bounds. */
  read(ptr: bigint, bytes: number): Uint8Array;
  free(ptr: bigint): void;
  end(): void;
}

/** The bug: `length` comes from the request, and nobody compares it with the text that came with it. */
export function answerHeartbeat(memory: ServerMemory, request: { text: string; length: number }): Uint8Array {
  const ptr = memory.allocate(request.text.length);
  try {
    memory.write(ptr, encode(request.text));
    return memory.read(ptr, request.length);
  } finally {
    memory.free(ptr);
  }
}

/** The same bug on a server that makes the block as long as the request claims: the rest is what lay there before. */
export function answerFromLongBlock(memory: ServerMemory, request: { text: string; length: number }): Uint8Array {
  const ptr = memory.allocate(request.length);
  try {
    memory.write(ptr, encode(request.text));
    return memory.read(ptr, request.length);
  } finally {
    memory.free(ptr);
  }
}

/** One of the textbook heaps, used as C would use it: no length is ever checked. */
export function textbookMemory(name: string, options: TextbookHeapOptions): ServerMemory {
  const heap = new TextbookHeap(options);
  return {
    name,
    allocate: (bytes) => heap.malloc(bytes),
    write: (ptr, bytes) => heap.copyIn(ptr, bytes),
    read: (ptr, bytes) => heap.copyOut(ptr, bytes),
    free: (ptr) => heap.free(ptr),
    end: () => heap.destroy(),
  };
}

/** This package as C's malloc is used: a copy out of a block ends where the block ends, or is refused. */
function pointerMemory(): ServerMemory {
  return {
    name: "this package, malloc()",
    allocate: malloc,
    write: copyIn,
    read: copyOut,
    free,
    end: () => {},
  };
}

/** This package's Blocks: zero when they are new, and their bytes end with them. */
function blockMemory(): ServerMemory {
  const blocks = new Map<bigint, Block>();
  return {
    name: "this package, alloc()",
    allocate: (bytes) => {
      const block = alloc(bytes);
      blocks.set(block.ptr, block);
      return block.ptr;
    },
    write: (ptr, bytes) => blocks.get(ptr)!.bytes.set(bytes),
    read: (ptr, bytes) => blocks.get(ptr)!.bytes.slice(0, bytes),
    free: (ptr) => {
      blocks.get(ptr)!.free();
      blocks.delete(ptr);
    },
    end: () => {},
  };
}

/** Every memory that the attacks are acted out on, careless ones first. */
export function serverMemories(): ServerMemory[] {
  return [
    textbookMemory("one free list", { kind: "free-list", fit: "first", fieldBytes: 4 }),
    textbookMemory("arenas of free lists", { kind: "arenas", arenas: 2, choice: "modulo", fieldBytes: 4 }),
    textbookMemory("pages of equal blocks", { kind: "bucket-pages" }),
    pointerMemory(),
    blockMemory(),
  ];
}

interface Server {
  /** Acts an attack out; the answer, or the code of the error that refused it. */
  attack(answer: typeof answerHeartbeat): Uint8Array | string;
  end(): void;
}

/** A server that has read its key from a file by way of a buffer, and has answered somebody before. */
export function startServer(memory: ServerMemory): Server {
  const earlier = memory.allocate(greeting.length);
  const buffer = memory.allocate(claimed);
  memory.write(buffer, encode(" ".repeat(keyOffset) + secret));
  const key = memory.allocate(secret.length);
  memory.write(key, encode(secret));
  memory.free(earlier);
  memory.free(buffer);
  return {
    attack(answer) {
      try {
        return answer(memory, { text: greeting, length: claimed });
      } catch (error) {
        if (error instanceof PagerunError) return error.code;
        throw error;
      }
    },
    end() {
      memory.free(key);
      memory.end();
    },
  };
}

/** How often the secret stands in the answer. */
export function leaksIn(answer: Uint8Array | string): number {
  return typeof answer === "string" ? 0 : decode(answer).split(secret).length - 1;
}

function outcome(answer: Uint8Array | string): string {
  if (typeof answer === "string") return `refused: ${answer}`;
  return `${answer.length} bytes, ${leaksIn(answer) > 0 ? "and the secret" : "no secret"}`;
}

interface Finding {
  readonly name: string;
  readonly short: Uint8Array | string;
  readonly long: Uint8Array | string;
}

/** Both attacks on one memory, on a server each. */
export function attackAll(): Finding[] {
  const once = (index: number, answer: typeof answerHeartbeat) => {
    const memories = serverMemories();
    const server = startServer(memories[index]!);
    try {
      return server.attack(answer);
    } finally {
      server.end();
      for (const other of memories) if (other !== memories[index]) other.end();
    }
  };
  return serverMemories().map((memory, index) => {
    memory.end();
    return { name: memory.name, short: once(index, answerHeartbeat), long: once(index, answerFromLongBlock) };
  });
}

/** The part of an answer around the secret. */
function excerpt(answer: Uint8Array): DumpPicture {
  const at = decode(answer).indexOf(secret);
  const offset = Math.max(0, at - (at % rowBytes) - rowBytes);
  const bytes = answer.slice(offset, offset + shownBytes);
  const before = at - offset;
  const name = "what else the answer holds";
  const parts: Part[] = [
    { ink: "unused", bytes: before, name },
    { ink: "secret", bytes: secret.length },
    { ink: "unused", bytes: bytes.length - before - secret.length, name },
  ];
  return { kind: "dump", title: "From the answer of the server on one free list", offset, bytes, parts };
}

function table(findings: readonly Finding[]): TablePicture {
  return {
    kind: "table",
    title: "The same server function on each memory",
    head: ["memory", "block of 5 bytes, 5000 read", "block of 5000 bytes, 5 written"],
    rows: findings.map(({ name, short, long }) => [name, outcome(short), outcome(long)]),
  };
}

function heartbleedPieces(): Piece[] {
  const findings = attackAll();
  const careless = findings[0]!.short;
  return [
    text(
      "Until 2014 a request to a server that used OpenSSL could say: here is the word hello, which is 5000 bytes long; please send it back. The server believed the length. It answered with hello, and with whatever lay behind it in memory: other people's passwords, and its own private key. OpenSSL had an allocator of its own, made to reuse memory as fast as possible and to clear nothing, so what lay there was fresh.",
    ),
    text(
      "Here is that function with its bug. Before the request comes, the server has read its key from a file through a buffer, and has freed the buffer.",
    ),
    code(
      "function answer(memory, request) {",
      "  const ptr = memory.allocate(request.text.length);   // 5 bytes",
      "  memory.write(ptr, request.text);                    // hello",
      "  return memory.read(ptr, request.length);            // 5000: nobody compares",
      "}",
    ),
    ...(typeof careless !== "string" && leaksIn(careless) > 0 ? [excerpt(careless)] : []),
    text(
      "A second server has the bug in another place: it makes the block as long as the request claims, writes five bytes, and sends all of it. There the bounds are kept, and what leaks is what the block held before.",
    ),
    table(findings),
    text(
      "In this package a read ends where its block ends: by address it is refused with an error, and the bytes of a Block are its five and no more. Against the second attack bounds do not help, only clearing: a Block is zero when it is new, so it has nothing to tell. `malloc` is C's malloc and clears nothing, so who asks for it gets what lay there.",
    ),
    text(
      "The moral of the notes: no allocator of one's own for what has to be secure, unless it earns it. One that reuses memory without clearing it, and that gives out bytes by a length that nobody checks, turns a small mistake in a program into a large one.",
    ),
  ];
}

export const heartbleedStep: Step = { id: "heartbleed", title: "Heartbleed, acted out", run: heartbleedPieces };
