// The lesson in the browser: a server on the loopback interface alone, which runs the steps on real heaps.
// Owns who is let in: the first request brings the token of the printed address and gets a cookie; a page of another
// site has neither, and a request under another host's name is refused. Thread rule: the thread that made it.
import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { styleSheet } from "./look.js";
import { type PageLink, renderPage, script } from "./page.js";
import type { Step } from "./step.js";
import { Workbench, workbenchTitle } from "./workbench.js";

const loopback = "127.0.0.1";
const tokenBytes = 18;
const mostBodyBytes = 4096;
const cookieName = "pagerun-lesson";
const workbenchPath = "/try";

const securityHeaders = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

export interface LessonServer {
  /** Where a browser has to go, token included. */
  readonly url: string;
  close(): Promise<void>;
}

interface Guard {
  readonly token: string;
  /** Names under which the server is asked for, port included. */
  readonly hosts: readonly string[];
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function cookieOf(request: IncomingMessage, port: string): string {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="));
  return pairs.find(([name]) => name === `${cookieName}-${port}`)?.[1] ?? "";
}

/** A browser says with each request which site made it; programs that say nothing need the cookie all the same. */
function isFromHere(request: IncomingMessage): boolean {
  const { origin } = request.headers;
  const site = request.headers["sec-fetch-site"];
  if (origin !== undefined && origin !== `http://${request.headers.host}`) return false;
  return site === undefined || site === "same-origin" || (request.method === "GET" && site === "none");
}

async function bodyOf(request: IncomingMessage): Promise<URLSearchParams> {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) {
    text += piece;
    if (text.length > mostBodyBytes) throw new RangeError("the form is longer than any of ours");
  }
  return new URLSearchParams(text);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { ...securityHeaders, "content-type": `${type}; charset=utf-8` });
  response.end(body);
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(303, { ...securityHeaders, location });
  response.end();
}

/** The page goes on by itself and not by a redirect: a strict cookie is not sent where another site's link led here. */
function enter(response: ServerResponse, cookie: string): void {
  response.setHeader("set-cookie", cookie);
  const body = `<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>pagerun lesson</title><a href="/">Begin</a>`;
  send(response, 200, "text/html", body);
}

class Lesson {
  readonly #steps: readonly Step[];
  readonly #pages: readonly PageLink[];
  readonly #workbench = new Workbench(workbenchPath);

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
    const pages = steps.map(({ title, id }) => ({ title, path: `/step/${id}` }));
    this.#pages = [...pages, { title: workbenchTitle, path: workbenchPath }];
  }

  async answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const { method } = request;
    if (method === "POST" && path === workbenchPath) {
      this.#workbench.act(await bodyOf(request));
      return redirect(response, `${workbenchPath}#step`);
    }
    if (method !== "GET") return send(response, 405, "text/plain", "Only GET, and POST of the form.");
    if (path === "/look.css") return send(response, 200, "text/css", styleSheet);
    if (path === "/keys.js") return send(response, 200, "text/javascript", script);
    if (path === "/") return redirect(response, this.#pages[0]!.path);
    const current = this.#pages.findIndex((page) => page.path === path);
    if (current < 0) return send(response, 404, "text/plain", "There is no such page.");
    send(response, 200, "text/html", this.#render(current));
  }

  #render(current: number): string {
    const step = this.#steps[current];
    const [pieces, tools] = step ? [step.run(), ""] : [this.#workbench.pieces(), this.#workbench.tools()];
    return renderPage({ pages: this.#pages, current, pieces, tools });
  }

  end(): void {
    this.#workbench.end();
  }
}

async function handle(guard: Guard, lesson: Lesson, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const host = request.headers.host ?? "";
  if (!guard.hosts.includes(host)) return send(response, 403, "text/plain", "Ask for the printed address.");
  const url = new URL(request.url ?? "/", `http://${host}`);
  const given = url.searchParams.get("token");
  if (given !== null && isSame(given, guard.token)) {
    const cookie = `${cookieName}-${url.port}=${guard.token}; HttpOnly; SameSite=Strict; Path=/`;
    return enter(response, cookie);
  }
  if (!isFromHere(request) || !isSame(cookieOf(request, url.port), guard.token)) {
    return send(response, 403, "text/plain", "Open the address that the command printed, with its token.");
  }
  await lesson.answer(request, response, url.pathname);
}

function listen(server: Server, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, loopback, () => resolve(server.address() as AddressInfo));
  });
}

/** Starts the server. `port` 0 is one that is free. Rejects when the port is taken. */
export async function serveLesson(steps: readonly Step[], port: number): Promise<LessonServer> {
  const lesson = new Lesson(steps);
  const token = randomBytes(tokenBytes).toString("base64url");
  const guard = { token, hosts: [] as string[] };
  const server = createServer((request, response) => {
    handle(guard, lesson, request, response).catch((error: Error) => {
      if (!response.headersSent) send(response, 500, "text/plain", `The step failed: ${error.message}`);
      else response.destroy();
    });
  });
  const address = await listen(server, port);
  guard.hosts.push(`${loopback}:${address.port}`, `localhost:${address.port}`);
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
      lesson.end();
    });
  return { url: `http://${loopback}:${address.port}/?token=${token}`, close };
}
