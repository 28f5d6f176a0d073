// Pieces of the lesson as HTML: what has a shape is drawn as SVG, what is text stays text that a reader can select.
// Owns elements and classes; the look is look.ts. Every text is escaped here. Thread rule: none.
import {
  addressText,
  type BarsPicture,
  type BitsPicture,
  type BlocksPicture,
  bytesIn,
  type DumpPicture,
  describePicture,
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
import { pictureLines } from "./terminal.js";

export function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** Words with `code` in backticks. */
export function inlineMarkup(words: string): string {
  return escapeText(words).replaceAll(/`([^`]+)`/g, "<code>$1</code>");
}

const bytePixels = 6;
/** Of large pieces of memory: a page has more room across than a terminal. */
const wideRowBytes = 128;
const leastWideBytes = 4096;
const bitPixels = 14;
const bitsInRow = 32;
const bitsInLongRow = 64;
const mostBitsOfShortRows = 512;
const dumpRowBytes = 16;
const barsWidth = 300;
const barHeight = 14;

function svg(width: number, height: number, picture: Picture, body: string): string {
  const label = escapeText(`${picture.title}. ${describePicture(picture)}`);
  return `<svg viewBox="0 0 ${width} ${height}" class="${picture.kind}" role="img" aria-label="${label}">${body}</svg>`;
}

function legend(parts: readonly Part[]): string {
  const items = legendOf(parts).map(
    (part) => `<li><i class="key ${part.ink}">${letters[part.ink]}</i> ${escapeText(partName(part))}</li>`,
  );
  return `<ul class="legend">${items.join("")}</ul>`;
}

/** A line between every two bytes: each byte is seen on its own. */
function byteGrid(width: number, height: number): string {
  const columns = Array.from({ length: width / bytePixels + 1 }, (_, i) => `M${i * bytePixels} 0V${height}`);
  const rows = Array.from({ length: height / bytePixels + 1 }, (_, i) => `M0 ${i * bytePixels}H${width}`);
  return `<path class="grid" d="${columns.join("")}${rows.join("")}"/>`;
}

function mapMarkup(picture: MapPicture): string {
  const { base, parts } = picture;
  const rowBytes = bytesIn(parts) > leastWideBytes ? wideRowBytes : picture.rowBytes;
  const rows = Math.ceil(bytesIn(parts) / rowBytes);
  const marks = Array.from({ length: rows }, (_, row) => {
    let x = 0;
    return partsWithin(parts, row * rowBytes, rowBytes).map(({ ink, bytes }) => {
      const mark = `<rect class="${ink}" x="${x}" y="${row * bytePixels}" width="${bytes * bytePixels}" height="${bytePixels}"/>`;
      x += bytes * bytePixels;
      return mark;
    });
  });
  const [width, height] = [rowBytes * bytePixels, rows * bytePixels];
  const note = `<p class="quiet">From ${addressText(base)} on; one square is one byte, ${rowBytes} in a row.</p>`;
  return `${note}${svg(width, height, picture, marks.flat().join("") + byteGrid(width, height))}${legend(parts)}`;
}

function blocksMarkup({ base, boxes, freeList }: BlocksPicture): string {
  const items = boxes.map(({ ink, offset, bytes, fields }) => {
    const values = fields.map((field) => `<samp>${escapeText(field)}</samp>`).join("");
    return `<li class="${ink}"><b>${inkNames[ink]}</b><samp>${offsetText(offset)}</samp><samp>${bytes} bytes</samp><em>${values}</em></li>`;
  });
  const body =
    boxes.length === 0
      ? `<p class="quiet">No block: the heap has no memory yet.</p>`
      : `<p class="quiet">From ${addressText(base)} on, in address order; widths are not to scale.${freeList === undefined ? " Each arena counts from its own first block." : ""}</p><ol class="blocks">${items.join("")}</ol>`;
  if (freeList === undefined) return body;
  const chain = freeList.map((offset) => `<li class="node">${offsetText(offset)}</li>`).join("");
  return `${body}<div class="chain"><b>free list</b><ol>${chain}<li class="end">${freeList.length === 0 ? "empty" : "end"}</li></ol></div>`;
}

function asciiOf(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
}

function dumpMarkup(picture: DumpPicture): string {
  const { bytes, parts, offset } = picture;
  const rows: string[] = [];
  for (let from = 0; from < bytes.length; from += dumpRowBytes) {
    const inks = partsWithin(parts, from, dumpRowBytes).flatMap((part) => Array<Ink>(part.bytes).fill(part.ink));
    const row = [...bytes.subarray(from, from + dumpRowBytes)];
    const hex = row.map((byte, i) => `<i class="${inks[i] ?? "unused"}">${byte.toString(16).padStart(2, "0")}</i>`);
    const ascii = row.map((byte, i) => `<i class="${inks[i] ?? "unused"}">${escapeText(asciiOf(byte))}</i>`);
    rows.push(
      `<div class="row"><samp class="at">${offsetText(offset + from)}</samp><samp class="hex">${hex.join("")}</samp><samp class="ascii">${ascii.join("")}</samp></div>`,
    );
  }
  const label = escapeText(`${picture.title}. ${describePicture(picture)}`);
  return `<div class="dump" role="img" aria-label="${label}">${rows.join("")}</div>${legend(parts)}`;
}

function bitsMarkup(picture: BitsPicture): string {
  const { bits } = picture;
  const across = bits.length > mostBitsOfShortRows ? bitsInLongRow : bitsInRow;
  const rows = Math.ceil(bits.length / across);
  const inset = 1;
  const marks = bits.map((bit, i) => {
    const [x, y] = [(i % across) * bitPixels + inset, Math.floor(i / across) * bitPixels + inset];
    return `<rect class="${bit ? "user" : "clear"}" x="${x}" y="${y}" width="${bitPixels - 2 * inset}" height="${bitPixels - 2 * inset}" rx="2"/>`;
  });
  const note = `<p class="quiet">${across} bits a row, the one of block 0 first; filled is 1.</p>`;
  return `${note}${svg(across * bitPixels, rows * bitPixels, picture, marks.join(""))}`;
}

function barsMarkup(picture: BarsPicture): string {
  const most = Math.max(...picture.bars.map(({ value }) => value), Number.MIN_VALUE);
  const items = picture.bars.map(({ name, value, text }) => {
    const width = Math.max(1, Math.round((value / most) * barsWidth));
    const bar = `<svg viewBox="0 0 ${barsWidth} ${barHeight}" preserveAspectRatio="none" aria-hidden="true"><rect class="user" width="${width}" height="${barHeight}"/></svg>`;
    return `<dt>${escapeText(name)}</dt><dd>${bar}<samp>${escapeText(text)}</samp></dd>`;
  });
  return `<dl class="bars">${items.join("")}</dl>`;
}

function tableMarkup({ title, head, rows }: TablePicture): string {
  const titles = head.map((text) => `<th scope="col">${inlineMarkup(text)}</th>`).join("");
  const body = rows.map((row) => {
    const data = row.map((text, column) =>
      column === 0 ? `<th scope="row">${inlineMarkup(text)}</th>` : `<td>${inlineMarkup(text)}</td>`,
    );
    return `<tr>${data.join("")}</tr>`;
  });
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeText(title)}"><table><thead><tr>${titles}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

function drawing(picture: Picture): string {
  switch (picture.kind) {
    case "map":
      return mapMarkup(picture);
    case "blocks":
      return blocksMarkup(picture);
    case "dump":
      return dumpMarkup(picture);
    case "bits":
      return bitsMarkup(picture);
    case "bars":
      return barsMarkup(picture);
    case "table":
      return tableMarkup(picture);
  }
}

/** Those that are drawings and not text already have the same as text behind a switch. */
function asText(picture: Picture): string {
  if (picture.kind !== "map" && picture.kind !== "bits" && picture.kind !== "dump") return "";
  const lines = escapeText(pictureLines(picture).join("\n"));
  return `<details><summary>The same as text</summary><pre tabindex="0">${lines}</pre></details>`;
}

export function pieceMarkup(piece: Piece): string {
  if (piece.kind === "text") return `<p>${inlineMarkup(piece.text)}</p>`;
  if (piece.kind === "code")
    return `<pre class="code" tabindex="0"><code>${escapeText(piece.lines.join("\n"))}</code></pre>`;
  return `<figure><figcaption>${inlineMarkup(piece.title)}</figcaption>${drawing(piece)}${asText(piece)}</figure>`;
}
