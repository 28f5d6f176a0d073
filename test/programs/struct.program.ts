// Structures of ours as libc's functions fill and read them, through node:ffi, which Node.js 26 has.
import { join } from "node:path";
import { expect, test } from "vitest";
import { compare, folder, jobFile } from "./preload.js";

test("libc fills, reads and follows structures that are passed by their address", async () => {
  const command = join(folder, "runtimes/node_modules/node26/bin/node");
  const args = ["--experimental-ffi", "--no-warnings", jobFile("struct-ffi.mjs")];
  const { stdout } = await compare({ name: "node26-struct-ffi", command, args }, ["node"]);
  expect(JSON.parse(stdout)).toEqual({
    isSame: true,
    later: "1270164690",
    date: "2010-04-01",
    zone: "GMT",
    size: 56,
    sysname: "Linux",
    order: 0,
    verdict: { ok: true },
    sizes: [12, 390],
  });
});
