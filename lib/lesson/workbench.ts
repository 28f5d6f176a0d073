// The last page in the browser: a heap that the reader acts on, drawn anew after each act. Owns one heap and its live
// blocks, and their limits. Thread rule: the server's thread. A refused act changes nothing and is told.
import { PagerunError } from "../errors.js";
import { TextbookHeap, type TextbookHeapOptions } from "../textbook.js";
import { baseOf, blocksOf, mapOf, pageBits, pageTable } from "./heap-pictures.js";
import { escapeText } from "./markup.js";
import { addressText, bytesIn, offsetText, type Piece, text } from "./picture.js";

export const workbenchTitle = "Try it: a heap of your own";

const mostBytes = 65_536;
const mostBlocks = 64;
const mostMapBytes = 16_384;
const defaultBytes = 5000;

const kinds: Readonly<Record<string, TextbookHeapOptions>> = {
  "free list, first fit, 4-byte fields": { kind: "free-list", fit: "first", fieldBytes: 4 },
  "free list, best fit, 4-byte fields": { kind: "free-list", fit: "best", fieldBytes: 4 },
  "free list, next fit, 4-byte fields": { kind: "free-list", fit: "next", fieldBytes: 4 },
  "free list, first fit, 8-byte fields": { kind: "free-list", fit: "first", fieldBytes: 8 },
  "two arenas, arena id in the header": {
    kind: "arenas",
    arenas: 2,
    choice: "random",
    origin: "header",
    fieldBytes: 4,
  },
  "two arenas, arena by the address": { kind: "arenas", arenas: 2, choice: "random", origin: "address", fieldBytes: 4 },
  "pages of equal blocks": { kind: "bucket-pages" },
};

interface LiveBlock {
  readonly ptr: bigint;
  readonly bytes: number;
}

export class Workbench {
  readonly #path: string;
  #name = Object.keys(kinds)[0]!;
  #heap: TextbookHeap | undefined;
  #live: LiveBlock[] = [];
  #said = "";

  constructor(path: string) {
    this.#path = path;
  }

  #open(): TextbookHeap {
    this.#heap ??= new TextbookHeap(kinds[this.#name]!);
    return this.#heap;
  }

  /** Gives the heap back. The next act begins with an empty one. */
  end(): void {
    this.#heap?.destroy();
    this.#heap = undefined;
    this.#live = [];
  }

  /** Does what a form says: malloc of `bytes`, free of a `ptr`, or a new heap of a `kind`. */
  act(form: URLSearchParams): void {
    try {
      this.#said = this.#perform(form);
      this.#heap?.check();
    } catch (error) {
      if (!(error instanceof PagerunError)) throw error;
      this.#said = `Refused: ${error.message}.`;
    }
  }

  #perform(form: URLSearchParams): string {
    const [bytes, ptr, kind] = [form.get("bytes"), form.get("ptr"), form.get("kind")];
    if (bytes !== null) return this.#malloc(bytes);
    if (ptr !== null) return this.#free(ptr);
    if (kind !== null && Object.hasOwn(kinds, kind)) return this.#renew(kind);
    return "The form says nothing that can be done.";
  }

  #malloc(given: string): string {
    const bytes = Number(given);
    if (!/^\d+$/.test(given) || bytes > mostBytes) return `Expected a whole number of bytes up to ${mostBytes}.`;
    if (this.#live.length >= mostBlocks) return `There are ${mostBlocks} live blocks; free one first.`;
    const ptr = this.#open().malloc(bytes);
    this.#live.push({ ptr, bytes });
    return `malloc(${bytes}) returned ${addressText(ptr)}.`;
  }

  #free(given: string): string {
    const index = this.#live.findIndex(({ ptr }) => String(ptr) === given);
    if (index < 0) return "That block is not live any more.";
    const [{ ptr }] = this.#live.splice(index, 1) as [LiveBlock];
    this.#open().free(ptr);
    return `free(${addressText(ptr)}) is done.`;
  }

  #renew(kind: string): string {
    this.end();
    this.#name = kind;
    return `A new heap: ${kind}.`;
  }

  pieces(): Piece[] {
    const heap = this.#open();
    const said = this.#said === "" ? [] : [text(this.#said)];
    return [
      text(`A heap that you act on: ${this.#name}. It is drawn from what it says of itself after each act.`),
      ...said,
      ...this.#pictures(heap),
    ];
  }

  #pictures(heap: TextbookHeap): Piece[] {
    return heap.kind === "bucket-pages" ? this.#pagePictures(heap) : this.#listPictures(heap);
  }

  #listPictures(heap: TextbookHeap): Piece[] {
    if (heap.arenas > 1 || heap.blocks().length === 0) return [blocksOf("The heap", heap)];
    const map = mapOf("Byte by byte", heap);
    return [blocksOf("The heap", heap), ...(bytesIn(map.parts) <= mostMapBytes ? [map] : [])];
  }

  #pagePictures(heap: TextbookHeap): Piece[] {
    const pages = heap.pages();
    const bits = pages.map((page) =>
      pageBits(
        `The page at ${addressText(page.address)}: ${page.used} of ${page.capacity} blocks of ${page.blockSize} bytes are handed out`,
        page,
      ),
    );
    const large = heap.blocks().filter(({ address, ptr }) => address !== ptr);
    const list = large.length > 0 ? [blocksOf("What is too large for a page, from a free list", heap, large)] : [];
    return [pageTable("The pages", pages), ...bits, ...list];
  }

  /** As the pictures name it where they have one row of offsets; else the address. */
  #placeOf(ptr: bigint): string {
    const heap = this.#open();
    if (heap.kind !== "free-list") return addressText(ptr);
    return offsetText(Number(ptr - baseOf(heap)));
  }

  tools(): string {
    const options = Object.keys(kinds).map(
      (kind) => `<option${kind === this.#name ? " selected" : ""}>${escapeText(kind)}</option>`,
    );
    const form = (fields: string) => `<form class="tools" method="post" action="${this.#path}">${fields}</form>`;
    const live = this.#live.map(
      ({ ptr, bytes }) => `<button name="ptr" value="${ptr}">free ${this.#placeOf(ptr)} (${bytes} bytes)</button>`,
    );
    return [
      form(
        `<label>bytes <input name="bytes" type="number" min="0" max="${mostBytes}" value="${defaultBytes}" required></label><button class="main">malloc</button>`,
      ),
      live.length > 0 ? form(live.join("")) : "",
      form(
        `<label>heap <select name="kind">${options.join("")}</select></label><button>begin with an empty one</button>`,
      ),
    ].join("");
  }
}
