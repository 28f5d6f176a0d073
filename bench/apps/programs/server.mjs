// A server of JSON over HTTP on loopback under constant load: bodies of 1 to 64 KB, and a cache of Buffers that turns
// over. The load is a process of its own, on the system's allocator whatever the server runs on.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { randomFrom } from "../support/random.mjs";
import { rest } from "../support/rest.mjs";

const cacheEntries = 2000;
const random = randomFrom(4);
const cache = new Map();

function remember(id, body) {
  cache.set(id, body);
  if (cache.size > cacheEntries) cache.delete(cache.keys().next().value);
}

async function answer(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  const order = JSON.parse(body.toString("utf8"));
  remember(`${order.id % (3 * cacheEntries)}`, body);
  const earlier = cache.get(`${random(3 * cacheEntries)}`);
  const total = order.lines.reduce((sum, line) => sum + line.count * line.price, 0);
  const text = JSON.stringify({ id: order.id, total, lines: order.lines.slice(0, 20), earlier: earlier?.length ?? 0 });
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

const server = createServer((request, response) => void answer(request, response));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { LD_PRELOAD: _, ...env } = process.env;
const script = fileURLToPath(new URL("../support/load.mjs", import.meta.url));
const [requests = "30000"] = process.argv.slice(2);
const load = spawn(process.execPath, [script, String(server.address().port), requests], {
  env,
  stdio: ["ignore", "inherit", "inherit"],
});
const [code] = await once(load, "exit");
if (code !== 0) process.exit(1);
cache.clear();
await rest();
