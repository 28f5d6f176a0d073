// Pieces of the lesson as lines of text: for the terminal, for documents, and beside each picture in the browser.
// Owns the layout; colours only add to what the letters say already. Thread rule: none; functions of their arguments.
import {
  addressText,
  type BarsPicture,
  type BitsPicture,
  type BlocksPicture,
  bytesIn,
  type DumpPicture,
  type Ink,
  inkNames,
  legendOf,
  letters,
  type MapPicture,
  offsetText,
  type Part,
  type Picture,
  type Piece,
  partName,
  partsWithin,
  type TablePicture,
} from "./picture.js";

/** Puts a text into the colour of an ink, or leaves it as it is. */
export type Paint = (ink: Ink, text: string) => string;

export const noPaint: Paint = (_, text) => text;

const colours: Readonly<Record<Ink, string>> = {
  header: "1;34",
  user: "36",
  node: "1;33",
  unused: "2",
  record: "35",
  secret: "1;31",
};

export const colourPaint: Paint = (ink, text) => `\x1b[${colours[ink]}m${text}\x1b[0m`;

const labelWidth = 8;
const dumpRowBytes = 16;
const barWidth = 40;
const bitsInRow = 64;

function label(text: string): string {
  return text.padStart(labelWidth);
}

/** Rows with what is at their left; rows that are alike are told once, with their number. */
function foldedLines(rows: readonly (readonly [string, string])[]): string[] {
  const lines: string[] = [];
  let alike = 0;
  for (const [index, [name, row]] of rows.entries()) {
    if (row === rows[index - 1]?.[1]) {
      alike++;
      if (row === rows[index + 1]?.[1]) continue;
      lines.push(`${label("*")}  ${alike} more ${alike === 1 ? "row" : "rows"} like it`);
      alike = 0;
    } else {
      lines.push(`${label(name)}  ${row}`);
    }
  }
  return lines;
}

function mapLines({ base, parts, rowBytes }: MapPicture, paint: Paint): string[] {
  const rows = Array.from({ length: Math.ceil(bytesIn(parts) / rowBytes) }, (_, row): [string, string] => [
    offsetText(row * rowBytes),
    partsWithin(parts, row * rowBytes, rowBytes)
      .map(({ ink, bytes }) => paint(ink, letters[ink].repeat(bytes)))
      .join(""),
  ]);
  const note = `${label("")}  from ${addressText(base)} on, ${rowBytes} bytes a row`;
  return [note, ...foldedLines(rows), legendLine(parts, paint)];
}

function legendLine(parts: readonly Part[], paint: Paint): string {
  return `${label("")}  ${legendOf(parts)
    .map((part) => `${paint(part.ink, letters[part.ink])} ${partName(part)}`)
    .join("   ")}`;
}

function blocksLines({ base, boxes, freeList }: BlocksPicture, paint: Paint): string[] {
  const widest = Math.max(0, ...boxes.map(({ ink }) => inkNames[ink].length));
  const lines = boxes.map(({ ink, offset, bytes, fields }) => {
    const name = paint(ink, inkNames[ink].padEnd(widest));
    return `${label(offsetText(offset))}  ${name}  ${`${bytes} bytes`.padStart(11)}  ${fields.join("  ")}`.trimEnd();
  });
  const body =
    lines.length === 0
      ? [`${label("")}  no block`]
      : [
          `${label("")}  from ${addressText(base)} on${freeList === undefined ? "; each arena counts from its own first block" : ""}`,
          ...lines,
        ];
  if (freeList === undefined) return body;
  const chain = freeList.length === 0 ? "empty" : [...freeList.map(offsetText), "end"].join(" -> ");
  return [...body, `${label("")}  free list: ${chain}`];
}

function asciiOf(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".";
}

function dumpLines({ offset, bytes, parts }: DumpPicture, paint: Paint): string[] {
  const lines: string[] = [];
  for (let from = 0; from < bytes.length; from += dumpRowBytes) {
    const inks = partsWithin(parts, from, dumpRowBytes).flatMap((part) => Array<Ink>(part.bytes).fill(part.ink));
    const row = [...bytes.subarray(from, from + dumpRowBytes)];
    const hex = row.map((byte, i) => paint(inks[i] ?? "unused", byte.toString(16).padStart(2, "0"))).join(" ");
    const marks = row.map((_, i) => letters[inks[i] ?? "unused"]).join("");
    const gap = "   ".repeat(dumpRowBytes - row.length);
    lines.push(
      `${label(offsetText(offset + from))}  ${hex}${gap}  ${marks.padEnd(dumpRowBytes)}  ${row.map(asciiOf).join("")}`,
    );
  }
  return [...lines, legendLine(parts, paint)];
}

function bitsLines({ bits }: BitsPicture, paint: Paint): string[] {
  const rows = Array.from({ length: Math.ceil(bits.length / bitsInRow) }, (_, row): [string, string] => [
    `bit ${row * bitsInRow}`,
    bits
      .slice(row * bitsInRow, (row + 1) * bitsInRow)
      .map((bit) => (bit ? paint("user", "1") : paint("unused", "0")))
      .join(""),
  ]);
  return foldedLines(rows);
}

function barsLines({ bars }: BarsPicture, paint: Paint): string[] {
  const widest = Math.max(0, ...bars.map(({ name }) => name.length));
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  return bars.map(({ name, value, text }) => {
    const bar = "#".repeat(Math.max(0, Math.round((value / most) * barWidth)));
    return `  ${name.padEnd(widest)}  ${paint("user", bar)} ${text}`;
  });
}

/** Without the marks that only a page can show. */
function plain(words: string): string {
  return words.replaceAll("`", "");
}

function tableLines({ head, rows }: TablePicture): string[] {
  const all = [head, ...rows].map((row) => row.map(plain));
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) =>
    `  ${row.map((words, column) => words.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd();
  const [titles = "", ...body] = all.map(line);
  return [titles, line(widths.map((width) => "-".repeat(width))), ...body];
}

/** The lines of a picture, without its title. */
export function pictureLines(picture: Picture, paint: Paint = noPaint): string[] {
  switch (picture.kind) {
    case "map":
      return mapLines(picture, paint);
    case "blocks":
      return blocksLines(picture, paint);
    case "dump":
      return dumpLines(picture, paint);
    case "bits":
      return bitsLines(picture, paint);
    case "bars":
      return barsLines(picture, paint);
    case "table":
      return tableLines(picture);
  }
}

/** Words in lines of at most `width` characters. */
export function wrap(words: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of words.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** The lines of a piece, with an empty one behind. */
export function pieceLines(piece: Piece, paint: Paint, width: number): string[] {
  if (piece.kind === "text") return [...wrap(plain(piece.text), width), ""];
  if (piece.kind === "code") return [...piece.lines.map((line) => `    ${line}`), ""];
  return [`  [ ${plain(piece.title)} ]`, ...pictureLines(piece, paint), ""];
}

/** A picture for a document: its title and its lines, as they are without colours. */
export function pieceMarkdown(piece: Piece): string {
  if (piece.kind === "text") return `${wrap(piece.text, 120).join("\n")}\n`;
  if (piece.kind === "code") return `\`\`\`ts\n${piece.lines.join("\n")}\n\`\`\`\n`;
  return `*${piece.title}*\n\n\`\`\`\n${pictureLines(piece).join("\n")}\n\`\`\`\n`;
}
