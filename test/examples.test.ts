// The examples of `docs/examples/` that need nothing but this project's own packages: each runs, as a reader would run it.
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { filesBelow, read, root } from "./structure/tree.js";

const examples = filesBelow("docs/examples", /\.mjs$/);

/** Run by `npm run test:programs`, which brings what they need. */
const needMore = ["docs/examples/libc-through-ffi.mjs", "docs/examples/sharp.mjs"];

const expected: Record<string, RegExp> = {
  "docs/examples/direct-file.mjs":
    /^(262144 bytes read past the system's cache|skipped: the file system of .* has no O_DIRECT)\n$/,
  "docs/examples/heartbleed.mjs":
    /^libc: LEAKED PRIVATE-KEY-7f3a91c4\nBuffer\.allocUnsafe: LEAKED PRIVATE-KEY-7f3a91c4\npagerun: refused: ERR_OUT_OF_BOUNDS\n$/,
  "docs/examples/image-filter.mjs": /^4000 x 3000 pixels blurred, 0 bytes left in mappings\n$/,
  "docs/examples/libc-through-koffi.mjs": /^libc sorted 1000 numbers of ours with our own comparison\n$/,
};

describe("the examples", () => {
  test("are all in their table, and run by a test", () => {
    const listed = [...read("docs/examples/README.md").matchAll(/^\| `([^`]+\.mjs)`/gm)].map(([, file]) => file!);
    expect(listed.map((file) => `docs/examples/${file}`).sort()).toEqual(examples);
    expect([...needMore, ...Object.keys(expected)].sort()).toEqual(examples);
  });

  test.each(Object.entries(expected))("%s", (file, output) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: root, encoding: "utf8" });
    if (stdout.startsWith("skipped")) console.log(stdout);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(output);
  });
});
