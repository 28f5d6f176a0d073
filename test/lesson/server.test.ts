// The lesson's server: what it gives out, and whom it refuses.
import { request } from "node:http";
import { memoryStats } from "pagerun";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LessonServer, serveLesson } from "../../lib/lesson/server.js";
import { steps } from "../../lib/lesson/steps.js";

let server: LessonServer;
let cookie = "";

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** A request of which every header is as the test says. */
function ask(path: string, { method = "GET", headers = {}, body }: Asked = {}): Promise<Answer> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const sent = request(
      { hostname, port, path, method, headers: { host: `127.0.0.1:${port}`, ...headers } },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (piece) => {
          text += piece;
        });
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
        answer.on("error", reject);
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

const inside = () => ({ headers: { cookie } });
const form = (body: string): Asked => ({
  method: "POST",
  headers: { cookie, "content-type": "application/x-www-form-urlencoded" },
  body,
});

beforeAll(async () => {
  server = await serveLesson(steps, 0);
  const { pathname, search } = new URL(server.url);
  const answer = await ask(pathname + search);
  cookie = String(answer.headers["set-cookie"]).split(";")[0] ?? "";
});

afterAll(() => server.close());

describe("who is let in", () => {
  test("the printed address is on the loopback interface and gives a cookie that scripts and other sites do not get", async () => {
    const { hostname, pathname, search } = new URL(server.url);
    expect(hostname).toBe("127.0.0.1");
    const answer = await ask(pathname + search);
    expect(answer.status).toBe(200);
    expect(String(answer.headers["set-cookie"])).toMatch(/HttpOnly; SameSite=Strict/);
  });

  test.each([
    ["no cookie and no token", "/step/numbers", {}],
    ["a wrong token", "/?token=0000", {}],
    ["a token of the right length", `/?token=${"A".repeat(24)}`, {}],
    ["a wrong cookie", "/step/numbers", { cookie: "pagerun-lesson-1=x" }],
  ])("%s is refused", async (_, path, headers) => {
    expect((await ask(path, { headers })).status).toBe(403);
  });

  test("a request under another host's name is refused, whatever it brings", async () => {
    const { search } = new URL(server.url);
    for (const path of ["/step/numbers", `/${search}`]) {
      expect((await ask(path, { headers: { cookie, host: "example.org" } })).status).toBe(403);
    }
  });

  test("what a page of another site sends is refused, whatever it brings", async () => {
    for (const headers of [{ origin: "http://example.org" }, { "sec-fetch-site": "cross-site" }, { origin: "null" }]) {
      const asked = form("bytes=10");
      expect(
        (await ask("/try", { ...asked, headers: { ...asked.headers, ...headers } as Record<string, string> })).status,
      ).toBe(403);
    }
  });
});

describe("what is given out", () => {
  test.each(steps.map(({ id, title }) => [id, title]))(
    "/step/%s is a page with its title and a drawing",
    async (id, title) => {
      const { status, body, headers } = await ask(`/step/${id}`, inside());
      expect(status).toBe(200);
      expect(body).toContain(`<h2 id="step" tabindex="-1">${title}</h2>`);
      expect(body).toContain("<figure>");
      expect(headers["content-security-policy"]).toContain("default-src 'none'");
      // Nothing is loaded from elsewhere.
      expect(body.match(/(src|href|action)="(?!\/|#|data:,)/g)).toBeNull();
    },
  );

  test("two readings of a step are two runs of it: the heap is made anew", async () => {
    const [one, two] = [await ask("/step/one-lock", inside()), await ask("/step/one-lock", inside())];
    const figures = ({ body }: Answer) => body.match(/[\d.]+ million a second/g);
    expect(figures(one)).toHaveLength(3);
    expect(figures(one)).not.toEqual(figures(two));
  });

  test("other paths and methods are told so", async () => {
    expect((await ask("/step/none", inside())).status).toBe(404);
    expect((await ask("/../package.json", inside())).status).toBe(404);
    expect((await ask("/step/numbers", { method: "DELETE", ...inside() })).status).toBe(405);
    expect((await ask("/", inside())).headers.location).toBe("/step/numbers");
  });
});

describe("the heap of the reader", () => {
  const page = async () => (await ask("/try", inside())).body;

  test("does what a form says, and refuses what cannot be", async () => {
    expect((await ask("/try", form("bytes=5000"))).status).toBe(303);
    expect(await page()).toContain("size 5000");
    const ptr = /name="ptr" value="(\d+)"/.exec(await page())?.[1] ?? "";
    for (const wrong of [
      "ptr=1",
      "ptr=hello",
      `ptr=${BigInt(ptr) + 1n}`,
      "bytes=-1",
      "bytes=1e9",
      "bytes=",
      "kind=__proto__",
      "x=y",
    ]) {
      expect((await ask("/try", form(wrong))).status, wrong).toBe(303);
      expect(await page(), wrong).toContain("size 5000");
    }
    await ask("/try", form(`ptr=${ptr}`));
    expect(await page()).not.toContain("size 5000");
    expect(await page()).toContain("size 8188");
  });

  test("has at most 64 live blocks, and a longer form than any of ours is refused", async () => {
    await ask("/try", form("kind=free+list%2C+best+fit%2C+4-byte+fields"));
    for (let i = 0; i < 70; i++) await ask("/try", form("bytes=8"));
    expect((await page()).match(/name="ptr"/g)).toHaveLength(64);
    expect(await page()).toContain("free one first");
    expect((await ask("/try", form(`bytes=${"1".repeat(10_000)}`))).status).toBe(500);
  });

  test.each([
    "free list, next fit, 4-byte fields",
    "free list, first fit, 8-byte fields",
    "two arenas, arena id in the header",
    "two arenas, arena by the address",
    "pages of equal blocks",
  ])("can be: %s", async (kind) => {
    await ask("/try", form(new URLSearchParams({ kind }).toString()));
    for (const bytes of [16, 16, 5000]) await ask("/try", form(`bytes=${bytes}`));
    const body = await page();
    expect(body).toContain(kind);
    expect(body).toContain("size 5000");
    expect(body).not.toMatch(/undefined|NaN/);
  });
});

describe("the end", () => {
  test("a server that is closed answers nobody and has given its heap back", async () => {
    const before = memoryStats().liveBlocks;
    const other = await serveLesson(steps, 0);
    await other.close();
    await expect(fetch(other.url)).rejects.toThrow();
    expect(memoryStats().liveBlocks).toBe(before);
  });

  test("a port that is taken is an error with its reason", async () => {
    const port = Number(new URL(server.url).port);
    await expect(serveLesson(steps, port)).rejects.toThrow("EADDRINUSE");
  });
});
