// One list of sources and flags, and what else the two build files and the package have to agree on.
import { describe, expect, test } from "vitest";
import { exists, filesBelow, read } from "./tree.js";

const sources: Record<string, string[]> = JSON.parse(read("native/sources.json"));
const listed = Object.values(sources)
  .flat()
  .filter((entry) => entry.endsWith(".cc"));

describe("sources and build files", () => {
  test("every source file of native/ is in native/sources.json, and every listed file exists", () => {
    const written = filesBelow("native", /\.(cc|cpp|c)$/);
    expect(listed.filter((file) => file.startsWith("native/")).sort()).toEqual(written);
    expect(listed.filter((file) => !exists(file))).toEqual([]);
  });

  test("every source file of bench/ is in native/sources.json", () => {
    const written = ["bench/misuse", "bench/native"].flatMap((folder) => filesBelow(folder, /\.(cc|cpp|c)$/)).sort();
    expect(listed.filter((file) => file.startsWith("bench/")).sort()).toEqual(written);
  });

  test.each(["binding.gyp", "CMakeLists.txt"])("%s has no list of sources of its own", (file) => {
    const withoutComments = read(file).replaceAll(/#.*$/gm, "");
    expect(withoutComments).toContain("native/sources.json");
    expect(withoutComments.match(/[\w/]+\.(cc|cpp|h)\b/g) ?? []).toEqual([]);
  });

  test("both build files name the same keys of native/sources.json, and all of them", () => {
    const binding = read("binding.gyp").replaceAll(/^\s*#.*$/gm, "");
    const cmake = read("CMakeLists.txt").replaceAll(/^\s*#.*$/gm, "");
    for (const key of Object.keys(sources)) {
      expect(binding, `binding.gyp and "${key}"`).toMatch(new RegExp(`\\b${key}\\b`));
      expect(cmake, `CMakeLists.txt and "${key}"`).toMatch(new RegExp(`\\b${key}\\b`));
    }
  });

  test("both build files define the same macros for the addon", () => {
    const macros = (text: string) => new Set(text.match(/\b(NAPI_VERSION=\d+|N[A-Z]+_[A-Z_]*(DISABLE)[A-Z_]*)\b/g));
    expect(macros(read("CMakeLists.txt"))).toEqual(macros(read("binding.gyp")));
    expect(read("package.json")).toMatch(/"napi_versions": \[\s*9\s*\]/);
  });

  test("the core is built without exceptions and run-time types, as C++20, with hidden symbols", () => {
    expect(sources.standard).toEqual(["-std=c++20"]);
    expect(sources.flags).toEqual(
      expect.arrayContaining(["-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-fvisibility-inlines-hidden"]),
    );
  });
});

describe("the package", () => {
  const manifest = JSON.parse(read("package.json"));

  test("the lock file names no registry", () => {
    expect(read("package-lock.json")).not.toContain('"resolved"');
  });

  test("the lock file is of this version and these dependencies", () => {
    const lock = JSON.parse(read("package-lock.json")).packages[""];
    expect(lock.version).toBe(manifest.version);
    expect(lock.dependencies).toEqual(manifest.dependencies);
    expect(lock.devDependencies).toEqual(manifest.devDependencies);
  });

  test("the Node floor is 20, in the package and in the types that it is compiled against", () => {
    expect(manifest.engines.node).toBe(">=20");
    expect(manifest.devDependencies["@types/node"]).toMatch(/^\^20\./);
  });
});
