// redis-server and redis-benchmark on pagerun: the same data set as without it, through snapshots by fork, a rewrite of
// the log, lazy frees on other threads and a restart. The server listens on a socket file of its own, no port.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import {
  execute,
  expectOnPagerun,
  folder,
  freshFolder,
  plainEnvironment,
  preloadedEnvironment,
  witnessedIn,
} from "./preload.js";

const lines = join(folder, "jobs/redis/witness");
const servers = new Set<ChildProcess>();
afterEach(() => {
  for (const server of servers) server.kill("SIGKILL");
  servers.clear();
});

/** A server, and how to talk to it. */
class Redis {
  readonly #socket: string;
  readonly #server: ChildProcess;

  constructor(
    readonly cwd: string,
    readonly env: NodeJS.ProcessEnv,
    readonly sockets: string,
  ) {
    this.#socket = join(sockets, "redis.sock");
    const options = {
      port: "0",
      unixsocket: this.#socket,
      dir: cwd,
      save: "",
      appendonly: "yes",
      "enable-debug-command": "yes",
      "io-threads": "2",
      "lazyfree-lazy-user-del": "yes",
      activerehashing: "yes",
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    this.#server = spawn("redis-server", args, { cwd, env, stdio: "ignore" });
    servers.add(this.#server);
  }

  /** Runs a client on this server's socket. */
  async client(command: string, ...args: string[]): Promise<string> {
    const run = { command, args: ["-s", this.#socket, ...args] };
    const { status, stdout, stderr } = await execute(run, { cwd: this.cwd, env: this.env });
    expect(`${status} ${stderr}`, `${command} ${args.join(" ").slice(0, 200)}`).toBe("0 ");
    return stdout.trim();
  }

  command(...args: string[]): Promise<string> {
    return this.client("redis-cli", ...args);
  }

  async isReady(): Promise<void> {
    for (let i = 0; i < 600; i++) {
      const { stdout } = await execute(
        { command: "redis-cli", args: ["-s", this.#socket, "ping"] },
        { cwd: this.cwd, env: plainEnvironment() },
      );
      if (stdout === "PONG\n") return;
      await sleep(100);
    }
    expect.fail("redis-server does not answer");
  }

  async waitWhile(field: string): Promise<void> {
    while ((await this.command("info", "persistence")).includes(`${field}:1`)) await sleep(50);
  }

  async end(): Promise<void> {
    const exit = once(this.#server, "exit");
    await execute(
      { command: "redis-cli", args: ["-s", this.#socket, "shutdown", "nosave"] },
      { cwd: this.cwd, env: plainEnvironment() },
    );
    expect(await exit).toEqual([0, null]);
    servers.delete(this.#server);
  }
}

/** Keys of every type, many sizes, some deleted again: a program for the server's own Lua. */
const fill = `
  for i = 1, 20000 do
    redis.call("set", "string:" .. i, string.rep("x", i % 3000))
    redis.call("hset", "hash:" .. i % 500, "field" .. i, "value " .. i)
    redis.call("zadd", "sorted:" .. i % 300, i * 7919 % 10007, "member" .. i)
    redis.call("rpush", "list:" .. i % 200, i, string.rep("y", i % 200))
    redis.call("sadd", "set:" .. i % 400, i * 31 % 5003, "text" .. i % 1000)
    redis.call("xadd", "stream:" .. i % 50, i .. "-1", "a", i)
  end
  for i = 1, 20000, 3 do redis.call("unlink", "string:" .. i) end
  for i = 1, 20000, 5 do redis.call("append", "string:" .. i, string.rep("z", 500)) end
  return redis.call("dbsize")`;

/** Everything that the data set says about itself after each stage; the same whatever malloc is underneath. */
async function work(cwd: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const sockets = mkdtempSync(join(tmpdir(), "pagerun-redis-"));
  const stages: string[] = [];
  try {
    let redis = new Redis(cwd, env, sockets);
    await redis.isReady();
    writeFileSync(join(cwd, "fill.lua"), fill);
    stages.push(await redis.command("--eval", join(cwd, "fill.lua")));
    await redis.command("bgsave");
    stages.push(await redis.command("debug", "digest"));
    await redis.waitWhile("rdb_bgsave_in_progress");
    await redis.command("bgrewriteaof");
    await redis.waitWhile("aof_rewrite_in_progress");
    await redis.command("save");
    await redis.command("debug", "reload");
    stages.push(await redis.command("debug", "digest"));
    await redis.end();
    redis = new Redis(cwd, env, sockets);
    await redis.isReady();
    stages.push(await redis.command("debug", "digest"), await redis.command("dbsize"));
    const tests = "set,get,incr,lpush,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset";
    const benchmark = [
      "-q",
      "-n",
      "20000",
      "-c",
      "20",
      "-P",
      "8",
      "-d",
      "300",
      "-r",
      "10000",
      "--threads",
      "2",
      "-t",
      tests,
    ];
    const report = await redis.client("redis-benchmark", ...benchmark);
    stages.push(String(report.split(/[\r\n]+/).filter((line) => /: \d+\.\d+ requests per second/.test(line)).length));
    await redis.command("flushall", "async");
    stages.push(await redis.command("dbsize"));
    await redis.end();
  } finally {
    rmSync(sockets, { recursive: true, force: true });
  }
  return stages;
}

test("redis-server keeps its data through forks, a log, lazy frees, a restart and redis-benchmark", async () => {
  const plain = await work(freshFolder("redis", "plain"), plainEnvironment());
  const preloaded = await work(freshFolder("redis", "preloaded"), preloadedEnvironment(lines));
  expect(preloaded).toEqual(plain);
  expect(new Set(plain.slice(1, 4)).size).toBe(1);
  expect(plain.slice(-2)).toEqual(["13", "0"]);

  const witnessed = witnessedIn(lines);
  expectOnPagerun(witnessed, ["redis-server", "redis-benchmark", "redis-cli"]);
  // The data set lies in pagerun's blocks, not in those of the allocator that the server is linked with.
  const ends = witnessed.filter(({ program, event }) => program === "redis-server" && event === "end");
  expect(Math.max(...ends.map(({ liveBlocks }) => liveBlocks))).toBeGreaterThan(50_000);
});
