// The load of server.mjs: so many requests over a few connections that stay, each waiting for its answer.
import { Agent, request } from "node:http";
import { randomFrom } from "./random.mjs";

const connections = 8;
const [port, requests] = process.argv.slice(2).map(Number);
const random = randomFrom(5);
const agent = new Agent({ keepAlive: true, maxSockets: connections });

function orderOf(id) {
  const lines = Array.from({ length: 12 + random(40) * random(18) }, (_, line) => ({
    ...{ article: `article ${line}`, count: 1 + random(9), price: random(10_000) / 100 },
    note: "n".repeat(random(60)),
  }));
  return JSON.stringify({ id, lines });
}

/** Made beforehand: the load is to spend its time on sending. */
const bodies = Array.from({ length: 256 }, (_, id) => orderOf(id));

function send(body) {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request({ host: "127.0.0.1", port, method: "POST", agent, headers }, (response) => {
      response.resume();
      response.on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}`))));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

let next = 0;
async function worker() {
  while (next < requests) await send(bodies[next++ % bodies.length].replace('"id":', `"id":${next}`));
}
await Promise.all(Array.from({ length: connections }, worker));
agent.destroy();
