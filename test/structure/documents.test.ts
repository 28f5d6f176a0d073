// What the documents say is there, is there: paths, constants, npm scripts, environment variables, file names.
import { describe, expect, test } from "vitest";
import { codeOf, commentsOf, identifiersOf } from "./code-text.js";
import { backticked, constantsIn, fileNamesIn, namesIn, pathsIn, scriptsIn, variablesIn } from "./documents.js";
import { codeFiles, documents, exists, filesBelow, read } from "./tree.js";

const everyFile = filesBelow("");
const code = codeFiles();
const nativeFiles = filesBelow("native", /\.(cc|h)$/);

/** What a file tells its reader: a document as a whole, of code its comments. */
const tellings = [
  ...documents().map((file) => ({ file, text: read(file) })),
  ...code.map((file) => ({
    file,
    text: commentsOf(read(file))
      .map((comment) => comment.text)
      .join("\n"),
  })),
];

/** True when a path, with * for any part of a name, is a file or folder of the tree. */
function isThere(path: string): boolean {
  if (!path.includes("*")) return exists(path);
  const pattern = new RegExp(`^${path.replaceAll(".", "\\.").replaceAll("*", "[^/]*")}$`);
  return everyFile.some((file) => pattern.test(file));
}

function faults(find: (text: string) => string[], isRight: (name: string) => boolean): string[] {
  return tellings.flatMap(({ file, text }) =>
    find(text)
      .filter((name) => !isRight(name))
      .map((name) => `${file}: ${name}`),
  );
}

describe("what documents and comments name", () => {
  test("every path in backticks exists", () => {
    expect(tellings.flatMap(({ text }) => pathsIn(text)).length).toBeGreaterThan(0);
    expect(faults(pathsIn, isThere)).toEqual([]);
  });

  test("every constant in backticks is defined in the code", () => {
    const definitions = [...nativeFiles, ...filesBelow("bench"), ...filesBelow("lib")]
      .filter((file) => /\.(cc|h|ts)$/.test(file))
      .map((file) => codeOf(read(file)))
      .join("\n");
    const isDefined = (name: string) => new RegExp(`\\b${name}(\\[\\w*\\])?\\s*(=|\\{|,)`).test(definitions);
    expect(faults(constantsIn, isDefined)).toEqual([]);
  });

  test("every function and member that native/README.md names is in the core", () => {
    const names = new Set(nativeFiles.flatMap((file) => identifiersOf(read(file))).map(({ name }) => name));
    expect(namesIn(read("native/README.md")).filter((name) => !names.has(name))).toEqual([]);
  });

  test.each(["malloc(24).", "free(p).", "malloc(5000)", "A free by another thread.", "A view."])(
    "native/README.md walks its reader through: %s",
    (walk) => expect(read("native/README.md")).toContain(`\n**${walk}`),
  );

  test("every npm script that is named exists", () => {
    const scripts = JSON.parse(read("package.json")).scripts;
    expect(faults(scriptsIn, (name) => name in scripts)).toEqual([]);
  });

  test("every environment variable of ours that a document names is read somewhere", () => {
    const readers = [...code, "CMakeLists.txt", "binding.gyp", ".ci/run"].map((file) => {
      const text = read(file);
      return /\.(cc|h|ts|mjs|js)$/.test(file) ? removeComments(text) : text;
    });
    const isRead = (name: string) => readers.some((text) => new RegExp(`\\b${name}\\b`).test(text));
    expect(faults(variablesIn, isRead)).toEqual([]);
  });

  test("every C++ file that a comment in native/ names is there", () => {
    const wrong = nativeFiles.flatMap((file) =>
      commentsOf(read(file))
        .flatMap((comment) => fileNamesIn(comment.text))
        .filter((name) => !everyFile.some((path) => path === name || path.endsWith(`/${name}`)))
        .map((name) => `${file}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test("every relative link in a document leads somewhere", () => {
    const wrong = documents().flatMap((file) => {
      const folder = file.includes("/") ? file.slice(0, file.lastIndexOf("/") + 1) : "";
      return [...read(file).matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)]
        .map((match) => folder + (match[1] as string))
        .filter((path) => !exists(path))
        .map((path) => `${file}: ${path}`);
    });
    expect(wrong).toEqual([]);
  });
});

function removeComments(text: string): string {
  return commentsOf(text).reduce((rest, comment) => rest.replace(comment.text, ""), text);
}

describe("the reading itself", () => {
  test("finds paths, constants and variables, and leaves fenced blocks alone", () => {
    const text = "See `native/core/` and `kPageBytes`, `Page::kCount`, or PAGERUN_PROFILE.\n```\n`native/none`\n```\n";
    expect(pathsIn(text)).toEqual(["native/core/"]);
    expect(constantsIn(text)).toEqual(["kPageBytes", "kCount"]);
    expect(variablesIn(text)).toEqual(["PAGERUN_PROFILE"]);
    expect(backticked("`a b` and `c`")).toEqual(["a b", "c"]);
  });

  test("finds file names of ours in comments, and not those of the system", () => {
    expect(fileNamesIn("// as arena.h and core/page.h say; <napi.h> and https://a.org/x.h are others")).toEqual([
      "arena.h",
      "core/page.h",
    ]);
  });

  test("finds names of functions and members", () => {
    expect(namesIn("`Arena::direct`, `bucket_take_slow`, `malloc`, `page_count_free(page)`")).toEqual([
      "direct",
      "bucket_take_slow",
      "page_count_free",
    ]);
  });

  test("finds the scripts that a reader is told to run", () => {
    expect(scriptsIn("`npm run bench -- --quick`, then npm test")).toEqual(["bench", "test"]);
  });
});
