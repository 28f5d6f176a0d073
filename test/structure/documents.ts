// What documents and comments claim of the tree, as functions over text: paths, constants, commands, variables.

/** Every text in backticks, fenced blocks aside. */
export function backticked(text: string): string[] {
  const withoutFences = text.replaceAll(/^```[\s\S]*?^```/gm, "");
  return [...withoutFences.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] as string);
}

/** The backticked texts that name a path below one of the project's own folders. */
export function pathsIn(text: string): string[] {
  return backticked(text).filter((name) => /^(native|lib|test|bench|docs|\.ci)\/[\w./*-]*$/.test(name));
}

/** The backticked constants: `kPageBytes`, or `Page::kBytes`. */
export function constantsIn(text: string): string[] {
  return backticked(text)
    .filter((name) => /^(\w+::)*k[A-Z]\w*$/.test(name))
    .map((name) => name.split("::").at(-1) as string);
}

/** Other names of code in backticks, such as `bucket_take_slow` or `Arena::direct`: the last part of each. */
export function namesIn(text: string): string[] {
  return backticked(text)
    .filter((name) => /^(\w+::)*[a-z]\w*(\(.*\))?$/.test(name) && /_|::/.test(name))
    .map((name) => name.replace(/\(.*/, "").split("::").at(-1) as string);
}

/** npm scripts that a text tells its reader to run. */
export function scriptsIn(text: string): string[] {
  const named = [...text.matchAll(/\bnpm run ([\w:-]*\w)/g)].map((match) => match[1] as string);
  return /\bnpm test\b/.test(text) ? [...named, "test"] : named;
}

/** Environment variables of the project that a text names. */
export function variablesIn(text: string): string[] {
  return text.match(/\bPAGERUN_[A-Z_]*[A-Z]\b/g) ?? [];
}

/** Names of C++ files in a comment, such as arena.h; a name in angle brackets belongs to the system. */
export function fileNamesIn(comment: string): string[] {
  return [...comment.matchAll(/(?<![<\w/.-])((?:[\w-]+\/)*[\w-]+\.(?:h|cc))\b/g)].map((match) => match[1] as string);
}
