// sqlite3 on pagerun: a database in memory, one in a file, and one under a limit on address space.
import { expect, test } from "vitest";
import { compare, jobFile } from "./preload.js";

const megabyte = 2 ** 20;

const databases = [
  { what: "in memory", name: "sqlite-memory", database: ":memory:" },
  { what: "in a file", name: "sqlite-file", database: "file.db" },
  {
    what: "in memory, with little address space",
    name: "sqlite-limited",
    database: ":memory:",
    limitBytes: 200 * megabyte,
  },
];

test.each(databases)("sqlite3 gives the same answers $what, and the database passes its check", async (run) => {
  const { database, ...rest } = run;
  const args = ["-bail", database, `.read ${jobFile("queries.sql")}`];
  const { stdout } = await compare({ ...rest, command: "sqlite3", args }, ["sqlite3"]);
  expect(stdout).toMatch(/^ok$/m);
});
