// What the lesson draws: pictures as plain data, and what each shows in words. Owns no memory and no look.
// A picture is made from what a heap says of itself (scene-parts.ts); terminal.ts and markup.ts draw it.
// Thread rule: none; plain data.

/** What a byte, a block or a bit is; each has a letter in the terminal and a colour in the browser. */
export type Ink = "header" | "user" | "node" | "unused" | "record" | "secret";

/** One letter for each, so that a drawing can be read without colours. */
export const letters: Readonly<Record<Ink, string>> = {
  header: "H",
  user: "u",
  node: "N",
  unused: ".",
  record: "r",
  secret: "S",
};

export const inkNames: Readonly<Record<Ink, string>> = {
  header: "header",
  user: "user memory",
  node: "node",
  unused: "unused space",
  record: "the page's own records",
  secret: "secret",
};

/** Consecutive bytes of one ink. */
export interface Part {
  readonly ink: Ink;
  readonly bytes: number;
  /** What these are where the ink's name does not say it. */
  readonly name?: string;
}

/** Memory byte by byte: every byte of it has a place in the drawing. */
export interface MapPicture {
  readonly kind: "map";
  readonly title: string;
  /** Address of the first byte. */
  readonly base: bigint;
  readonly parts: readonly Part[];
  /** Bytes in a row of the drawing. */
  readonly rowBytes: number;
}

/** A block as a heap reports it. */
export interface BlockBox {
  readonly ink: Ink;
  /** From the picture's base. */
  readonly offset: number;
  readonly bytes: number;
  /** What its fields hold, in the order in which they lie: `size 5000`, `next +5004`. */
  readonly fields: readonly string[];
}

/** Blocks in address order, not to scale, and the free list as a chain. */
export interface BlocksPicture {
  readonly kind: "blocks";
  readonly title: string;
  readonly base: bigint;
  readonly boxes: readonly BlockBox[];
  /** Offsets of the nodes in the order of the list; undefined where there is no such list. */
  readonly freeList: readonly number[] | undefined;
}

/** Bytes as they are in memory, each with what it belongs to. */
export interface DumpPicture {
  readonly kind: "dump";
  readonly title: string;
  /** Offset that the first row is labelled with. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly parts: readonly Part[];
}

/** Flags, the one of block 0 first. */
export interface BitsPicture {
  readonly kind: "bits";
  readonly title: string;
  readonly bits: readonly boolean[];
}

/** Measured quantities beside each other. */
export interface BarsPicture {
  readonly kind: "bars";
  readonly title: string;
  readonly bars: readonly { readonly name: string; readonly value: number; readonly text: string }[];
}

export interface TablePicture {
  readonly kind: "table";
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export type Picture = MapPicture | BlocksPicture | DumpPicture | BitsPicture | BarsPicture | TablePicture;

/** Bytes that the parts cover. */
export function bytesIn(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.bytes, 0);
}

export function partName({ ink, name }: Part): string {
  return name ?? inkNames[ink];
}

/** One part for each name that occurs, in the order of the first of each. */
export function legendOf(parts: readonly Part[]): Part[] {
  return parts.filter((part, index) => parts.findIndex((other) => partName(other) === partName(part)) === index);
}

/** The pieces of the parts that lie in `bytes` bytes from `from` on. */
export function partsWithin(parts: readonly Part[], from: number, bytes: number): Part[] {
  let start = 0;
  return parts.flatMap((part) => {
    const first = Math.max(start, from);
    start += part.bytes;
    const rest = Math.min(start, from + bytes) - first;
    return rest > 0 ? [{ ...part, bytes: rest }] : [];
  });
}

export function offsetText(offset: number): string {
  return offset < 0 ? `-${-offset}` : `+${offset}`;
}

export function addressText(address: bigint): string {
  return `0x${address.toString(16)}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function describeParts(parts: readonly Part[]): string {
  return parts.map((part) => `${count(part.bytes, "byte")} ${partName(part)}`).join(", ");
}

function describeBoxes({ boxes, freeList }: BlocksPicture): string {
  const blocks = boxes.map(
    ({ ink, offset, bytes, fields }) =>
      `${inkNames[ink]} at ${offsetText(offset)}, ${[count(bytes, "byte"), ...fields].join(", ")}`,
  );
  const list = freeList?.length ? `Free list: ${freeList.map(offsetText).join(", then ")}.` : "The free list is empty.";
  return `${blocks.length === 0 ? "No block" : blocks.join("; ")}.${freeList === undefined ? "" : ` ${list}`}`;
}

/** What the picture shows, for readers who do not see it. */
export function describePicture(picture: Picture): string {
  switch (picture.kind) {
    case "map":
      return `${count(bytesIn(picture.parts), "byte")} in address order: ${describeParts(picture.parts)}.`;
    case "blocks":
      return describeBoxes(picture);
    case "dump":
      return `${count(picture.bytes.length, "byte")} as they are in memory: ${describeParts(picture.parts)}.`;
    case "bits":
      return `${count(picture.bits.length, "bit")}, ${picture.bits.filter(Boolean).length} of them set.`;
    case "bars":
      return `${picture.bars.map(({ name, text }) => `${name}: ${text}`).join("; ")}.`;
    case "table":
      return `Table with the columns ${picture.head.join(", ")}.`;
  }
}

/** A step of the lesson as it is shown: paragraphs, lines of code that were run, and pictures. */
export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "code"; readonly lines: readonly string[] }
  | Picture;

export function text(words: string): Piece {
  return { kind: "text", text: words };
}

export function code(...lines: string[]): Piece {
  return { kind: "code", lines };
}
