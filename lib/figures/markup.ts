// Owns the writing of markup: escaping, elements, and a colour for each contender. Pure functions, no state.

export function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** A number for an SVG attribute: a tenth of a pixel is enough. */
export function pixels(value: number): string {
  return String(Math.round(value * 10) / 10);
}

const kColourNames: Record<string, string> = {
  libc: "base",
  glibc: "base",
  "napi-libc": "base",
  pagerun: "pagerun",
  "pagerun-hardened": "d",
  "glibc-tuned": "e",
  "free-list": "d",
  arenas: "e",
  "bucket-pages": "c",
  jemalloc: "a",
  mimalloc: "b",
  tcmalloc: "c",
  koffi: "a",
  "buffer-unsafe": "b",
  "buffer-unsafe-slow": "c",
  uint8array: "d",
  "thi-malloc": "e",
};

/** The class that paints a contender's marks. */
export function colourClass(contender: string): string {
  return `k-${kColourNames[contender] ?? "f"}`;
}

/** Which colour is whose. */
export function legend(contenders: readonly string[]): string {
  const items = contenders.map((name) => `<span class="${colourClass(name)}"><i></i>${escapeText(name)}</span>`);
  return `<div class="legend">${items.join("")}</div>`;
}
