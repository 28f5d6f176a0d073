// The rules for includes in native/, as functions over text, so that they can be tried on wrong text as well.
import { posix } from "node:path";

/** Layers, lowest first, as the table in native/README.md lists them. */
export function layersIn(readme: string): string[] {
  const section = readme.split(/^## /m).find((part) => part.startsWith("Layers and include order"));
  if (section === undefined) throw new Error("native/README.md has no section 'Layers and include order'");
  return [...section.matchAll(/^\| *`native\/([\w-]+)\/` *\|/gm)].map((match) => match[1] as string);
}

/** What a file includes: `"own"` paths resolved against the file and native/, `<system>` names as they stand. */
export function includesOf(file: string, text: string): { own: string[]; system: string[] } {
  const names = [...text.matchAll(/^\s*#\s*include\s*([<"])([^>"]+)[>"]/gm)];
  const own = names
    .filter((match) => match[1] === '"')
    .map((match) => {
      const name = match[2] as string;
      return name.startsWith(".") || !name.includes("/")
        ? posix.normalize(posix.join(posix.dirname(file), name))
        : posix.join("native", name);
    });
  return { own, system: names.filter((match) => match[1] === "<").map((match) => match[2] as string) };
}

function layerOf(path: string): string | undefined {
  return /^native\/([\w-]+)\//.exec(path)?.[1];
}

/** Says what is wrong with the includes of one file of native/; empty when nothing is. */
export function includeFaults(file: string, text: string, layers: string[]): string[] {
  const layer = layerOf(file);
  const rank = layers.indexOf(layer ?? "");
  if (rank === -1) return [`${file}: its folder is no layer of native/README.md`];
  const { own, system } = includesOf(file, text);
  const faults = own
    .filter((path) => {
      const other = layers.indexOf(layerOf(path) ?? "");
      return other === -1 || other > rank;
    })
    .map((path) => `${file}: includes ${path}, which is not of its own or a lower layer`);
  const napi = system.concat(own.map((path) => posix.basename(path))).filter(isNapiHeader);
  if (layer !== "node") faults.push(...napi.map((name) => `${file}: includes ${name}; only native/node/ may`));
  return faults;
}

export function isNapiHeader(name: string): boolean {
  return /^(napi.*|node_api.*|js_native_api.*|node)\.h$/.test(posix.basename(name));
}

/** The first circle in a graph of who includes (or imports) whom, or undefined. */
export function circleIn(graph: Map<string, string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of graph.get(file) ?? []) {
      const circle = visit(next, [...path, file]);
      if (circle) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const circle = visit(file, []);
    if (circle) return circle;
  }
  return undefined;
}
