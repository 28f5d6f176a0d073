// Takes source text apart: comments from code, and identifiers into their words. For C++ and TypeScript alike, by a
// scan that knows comments, strings and nothing else.

const pieces =
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)/g;

/** The code alone: comments and the contents of strings are blanked, line numbers stay. */
export function codeOf(text: string): string {
  return text.replace(pieces, (piece) => piece.replaceAll(/[^\n]/g, " "));
}

/** The comments alone, each with the line on which it starts (1 is the first). */
export function commentsOf(text: string): { line: number; text: string }[] {
  return [...text.matchAll(pieces)]
    .filter((match) => match.groups?.comment !== undefined)
    .map((match) => ({ line: lineAt(text, match.index), text: match[0] }));
}

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

/** The words of an identifier: `kMaxBlocks`, `max_blocks` and `maxBlocks_` are all "max", "blocks". */
export function wordsOf(identifier: string): string[] {
  return identifier
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, "$1_$2")
    .toLowerCase()
    .split(/[_$]+/)
    .filter((word) => word.length > 0);
}

/** Every identifier in the code, with its line. */
export function identifiersOf(text: string): { line: number; name: string }[] {
  const code = codeOf(text);
  return [...code.matchAll(/[A-Za-z_$][\w$]*/g)].map((match) => ({ line: lineAt(code, match.index), name: match[0] }));
}
