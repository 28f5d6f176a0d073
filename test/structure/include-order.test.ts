// Who may include whom in native/. The layers are read from native/README.md, so that page and tree cannot part.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { circleIn, includeFaults, includesOf, isNapiHeader, layersIn } from "./include-order.js";
import { exists, filesBelow, read, root } from "./tree.js";

const layers = layersIn(read("native/README.md"));
const files = filesBelow("native", /\.(cc|h)$/);

describe("the include order", () => {
  test("the layers in native/README.md are the folders of native/", () => {
    const folders = readdirSync(join(root, "native"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map((folder) => folder.name).sort()).toEqual([...layers].sort());
  });

  test("every file includes only files of its own or a lower layer, and napi only in native/node/", () => {
    expect(files.length).toBeGreaterThan(0);
    expect(files.flatMap((file) => includeFaults(file, read(file), layers))).toEqual([]);
  });

  test("every included file of ours exists", () => {
    const missing = files.flatMap((file) =>
      includesOf(file, read(file))
        .own.filter((path) => !exists(path) && !isNapiHeader(path))
        .map((path) => `${file}: ${path}`),
    );
    expect(missing).toEqual([]);
  });

  test("no two headers include each other", () => {
    const graph = new Map(files.map((file) => [file, includesOf(file, read(file)).own]));
    expect(circleIn(graph)).toBeUndefined();
  });

  test("the bench and the C++ tests include nothing of the addon", () => {
    const others = [...filesBelow("bench/native", /\.(cc|h)$/), ...filesBelow("test/native", /\.(cc|h)$/)];
    const faults = others.filter((file) =>
      includesOf(file, read(file)).own.some((path) => path.startsWith("native/node/")),
    );
    expect(faults).toEqual([]);
  });
});

describe("the rule itself", () => {
  const three = ["base", "core", "node"];

  test("refuses an include of a higher layer", () => {
    expect(includeFaults("native/base/bits.h", '#include "../core/page.h"\n', three)).toHaveLength(1);
    expect(includeFaults("native/core/page.h", '#include "../base/bits.h"\n#include "arena.h"\n', three)).toEqual([]);
  });

  test("refuses napi outside of native/node/, however it is included", () => {
    expect(includeFaults("native/core/page.h", "#include <napi.h>\n", three)).toHaveLength(1);
    expect(includeFaults("native/core/page.h", "#  include <node_api.h>\n", three)).toHaveLength(1);
    expect(includeFaults("native/node/addon.cc", "#include <napi.h>\n", three)).toEqual([]);
  });

  test("refuses a folder that is no layer", () => {
    expect(includeFaults("native/misc/a.h", "", three)).toHaveLength(1);
  });

  test("finds a circle", () => {
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["b"]],
    ]);
    expect(circleIn(graph)).toEqual(["b", "c", "b"]);
  });
});
