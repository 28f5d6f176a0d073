// The rules for imports in TypeScript, as functions over text, so that they can be tried on wrong text as well.
import { posix } from "node:path";
import { commentsOf } from "./code-text.js";

/** Files in the order in which they may import each other, as the table in lib/README.md lists them. */
export function orderIn(readme: string): string[] {
  const section = readme.split(/^## /m).find((part) => part.startsWith("Layers and import order"));
  if (section === undefined) throw new Error("lib/README.md has no section 'Layers and import order'");
  return [...section.matchAll(/^\| *`(lib\/[\w./-]+)` *\|/gm)].map((match) => match[1] as string);
}

/** What a file imports, re-exports or requires: names as they stand. Examples in comments do not count. */
export function importsOf(text: string): string[] {
  const code = commentsOf(text).reduce((rest, comment) => rest.replace(comment.text, ""), text);
  const statements = code.matchAll(/^\s*(?:import|export)\b(?:[^"';]*?\bfrom\s*)?\s*"([^"]+)"/gm);
  const calls = code.matchAll(/\b(?:import|require)\(\s*"([^"]+)"\s*\)/g);
  return [...statements, ...calls].map((match) => match[1] as string);
}

/** The source file that a relative import of `file` means. */
export function targetOf(file: string, name: string): string {
  const path = posix.normalize(posix.join(posix.dirname(file), name));
  return path
    .replace(/\.js$/, ".ts")
    .replace(/\.cjs$/, ".cts")
    .replace(/\.mjs$/, ".mts");
}

/** Says what is wrong with the imports of one file of lib/; empty when nothing is. */
export function importFaults(file: string, text: string, order: readonly string[]): string[] {
  const rank = order.indexOf(file);
  if (rank === -1) return [`${file}: not in the table of lib/README.md`];
  return importsOf(text).flatMap((name) => {
    if (name.startsWith("node:")) return [];
    if (!name.startsWith(".")) return [`${file}: imports the package ${name}`];
    const other = order.indexOf(targetOf(file, name));
    const isInternal = targetOf(file, name).startsWith("lib/internal/");
    if (other === -1 || other >= rank || isInternal) return [`${file}: imports ${name}, which is not above it`];
    return [];
  });
}
