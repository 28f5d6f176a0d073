// Owns how figures and tables of text look in the terminal. Does not own which figures. Pure functions, no state.

/** Three significant digits, and a suffix for thousands and millions: 12.7, 1.24k, 45.0M. */
export function formatNumber(value: number): string {
  const suffixes = ["", "k", "M", "G"];
  let scaled = value;
  let suffix = 0;
  while (Math.abs(scaled) >= 999.5 && suffix < suffixes.length - 1) {
    scaled /= 1000;
    suffix++;
  }
  const digits = Math.abs(scaled) >= 99.95 ? 0 : Math.abs(scaled) >= 9.995 ? 1 : 2;
  return `${scaled.toFixed(digits)}${suffixes[suffix]}`;
}

/** As formatNumber, without a fraction below a thousand: 90, 1.24k. */
export function formatWhole(value: number): string {
  return value < 999.5 ? String(Math.round(value)) : formatNumber(value);
}

/** Bytes as MiB. */
export function formatMebibytes(bytes: number): string {
  const value = bytes / 2 ** 20;
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
}

export function formatRatio(ratio: number): string {
  return `${ratio.toFixed(ratio >= 99.95 ? 0 : ratio >= 9.995 ? 1 : 2)}×`;
}

export function formatPercent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

/** A text with what it is on the screen, so that colours do not count as characters. */
export interface Painted {
  text: string;
  paint?: "good" | "bad" | "dim" | "bold";
}

const kCodes = { good: "32", bad: "31", dim: "2", bold: "1" } as const;

export function paint({ text, paint: style }: Painted, colours: boolean): string {
  return colours && style ? `\x1b[${kCodes[style]}m${text}\x1b[0m` : text;
}

/** An entry is painted pieces, one space between them. */
export type TableEntry = readonly Painted[];

function widthOf(entry: TableEntry): number {
  return entry.reduce((sum, piece) => sum + piece.text.length, 0) + Math.max(0, entry.length - 1);
}

/** Splits a name at its hyphens into lines of at most `width` characters, where that can be. */
export function wrapName(name: string, width: number): string[] {
  const lines: string[] = [];
  for (const part of name.split(/(?<=-)/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.length <= width) lines[lines.length - 1] = last + part;
    else lines.push(part);
  }
  return lines;
}

/** Rows of cells as lines: the first column to the left, the others to the right, two spaces between. */
export function formatTable(rows: readonly (readonly TableEntry[])[], colours: boolean): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => widthOf(row[column] ?? []))),
  );
  return rows.map((row) =>
    widths
      .map((width, column) => {
        const entry = row[column] ?? [];
        const pad = " ".repeat(width - widthOf(entry));
        const text = entry.map((piece) => paint(piece, colours)).join(" ");
        return column === 0 ? text + pad : pad + text;
      })
      .join("  ")
      .trimEnd(),
  );
}
