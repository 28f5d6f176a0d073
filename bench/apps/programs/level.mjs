// LevelDB: batches of writes, reads and deletions over one range of keys, so that its tables are merged all the time.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { randomFrom } from "../support/random.mjs";
import { mark, rest } from "../support/rest.mjs";

const batches = 300;
const batchSize = 500;
const keys = 30_000;
const random = randomFrom(3);
const folder = mkdtempSync(join(tmpdir(), "pagerun-level-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
process.on("SIGTERM", () => process.exit(0));

const key = () => `key:${String(random(keys)).padStart(8, "0")}`;
const db = new ClassicLevel(folder, { valueEncoding: "buffer" });
let found = 0;
for (let batch = 0; batch < batches; batch++) {
  const changes = Array.from({ length: batchSize }, () =>
    random(4) === 0
      ? { type: "del", key: key() }
      : { type: "put", key: key(), value: Buffer.alloc(50 + random(2000), batch) },
  );
  await db.batch(changes);
  const values = await db.getMany(Array.from({ length: batchSize }, key));
  found += values.filter((value) => value !== undefined).length;
}
mark("scan");
for await (const [, value] of db.iterator()) found += value.length > 0 ? 1 : 0;
await db.close();
console.log(`${found} values were read`);
await rest();
