// The lesson in Chromium, from the address that the command prints to the last step, by mouse, keyboard and form.
// Leaves a screenshot of every step in build-test/lesson/, in wide and narrow, light and dark, for people to look at.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { which } from "../tools/system-tools.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const pictures = join(root, "build-test/lesson");
const wide = { width: 1280, height: 900 };
const narrow = { width: 390, height: 844 };

let server: ChildProcess;
let address = "";
let browser: Browser;

/** The address that `pagerun lesson --browser` prints. */
function startLesson(): Promise<string> {
  server = spawn(process.execPath, ["dist/cjs/cli.js", "lesson", "--browser"], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let output = "";
    server.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const found = /http:\/\/\S+/.exec(output);
      if (found) resolve(found[0]);
    });
    server.on("close", (code) => reject(new Error(`the lesson ended with ${code}: ${output}`)));
  });
}

beforeAll(async () => {
  mkdirSync(pictures, { recursive: true });
  address = await startLesson();
  const executablePath = which("chromium");
  if (executablePath === undefined) throw new Error("chromium is not in PATH");
  // Chromium's sandbox refuses to be root's.
  browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
});

afterAll(async () => {
  await browser?.close();
  server?.kill("SIGTERM");
});

/** What a page did that it should not: requests elsewhere, errors of its script, refusals of its own policy. */
interface Opened {
  page: Page;
  faults: string[];
}

async function open(options: BrowserContextOptions = {}): Promise<Opened> {
  const context = await browser.newContext({ viewport: wide, ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  const origin = new URL(address).origin;
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith("data:")) faults.push(request.url());
  });
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.goto(address);
  await page.waitForURL(/\/step\//);
  return { page, faults };
}

const heading = async (page: Page) => (await page.locator("h2").textContent()) ?? "";

/** Goes on by `next` until there is no next step; returns the headings on the way. */
async function walk(
  page: Page,
  next: () => Promise<void>,
  atStep: (number: number) => Promise<void>,
): Promise<string[]> {
  const titles: string[] = [];
  for (;;) {
    titles.push(await heading(page));
    await atStep(titles.length);
    if ((await page.locator(".steps .next").count()) === 0) return titles;
    const before = page.url();
    await next();
    await page.waitForURL((url) => url.href !== before);
  }
}

/** The first letters of the element that has the focus; none when it is the browser's own. */
async function focusedMarkup(page: Page): Promise<string> {
  const [markup = ""] = await page.locator(":focus").evaluateAll((all) => all.map((one) => one.outerHTML.slice(0, 60)));
  return markup;
}

/** One heading of each level, and words for every drawing. */
async function expectReadable(page: Page): Promise<void> {
  expect(await page.locator("h1").count()).toBe(1);
  expect(await page.locator("h2").count()).toBe(1);
  const drawings = page.locator("svg[role=img], div[role=img]");
  const labels = await drawings.evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
  expect(labels.every((label) => (label ?? "").length > 20)).toBe(true);
  expect(await page.locator("svg:not([role=img]):not([aria-hidden])").count()).toBe(0);
}

/** Things that would push the page wider than the screen. */
async function overflow(page: Page): Promise<number> {
  return page.locator("html").evaluate((html) => html.scrollWidth - html.clientWidth);
}

describe.each([
  { name: "wide-light", viewport: wide, colorScheme: "light" as const },
  { name: "wide-dark", viewport: wide, colorScheme: "dark" as const },
  { name: "phone-light", viewport: narrow, colorScheme: "light" as const },
  { name: "phone-dark", viewport: narrow, colorScheme: "dark" as const },
])("the lesson, $name", ({ name, viewport, colorScheme }) => {
  test("is walked from start to end by its links, fits the screen, and has words for every drawing", async () => {
    const { page, faults } = await open({ viewport, colorScheme });
    const listed = await page.locator("nav li a").allTextContents();
    const titles = await walk(
      page,
      () => page.locator(".steps .next").click(),
      async (number) => {
        expect(await overflow(page), await heading(page)).toBeLessThanOrEqual(0);
        await expectReadable(page);
        expect(await page.locator("figure, form").count()).toBeGreaterThan(0);
        await page.screenshot({
          path: join(pictures, `${name}-${String(number).padStart(2, "0")}.png`),
          fullPage: true,
        });
      },
    );
    expect(titles).toEqual(listed);
    expect(titles.length).toBeGreaterThan(10);
    expect(faults).toEqual([]);
    await page.context().close();
  });
});

describe("the lesson's keys", () => {
  test("Enter and the arrows go on and back, and the heading has the focus", async () => {
    const { page, faults } = await open();
    const first = await heading(page);
    await page.keyboard.press("Enter");
    await page.waitForURL(/malloc-5000/);
    expect(await page.locator(":focus").getAttribute("id")).toBe("step");
    await page.keyboard.press("ArrowRight");
    await page.waitForURL(/\/split/);
    await page.keyboard.press("ArrowLeft");
    await page.waitForURL(/malloc-5000/);
    await page.keyboard.press("b");
    await page.waitForURL(/numbers/);
    expect(await heading(page)).toBe(first);
    expect(faults).toEqual([]);
    await page.context().close();
  });

  test("everything that can be acted on is reached by Tab, the way past the list first", async () => {
    const { page } = await open();
    await page.goto(`${new URL(address).origin}/try`);
    const reached: string[] = [];
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      reached.push(await focusedMarkup(page));
    }
    expect(reached[0]).toContain("skip");
    for (const element of ['<input name="bytes"', "<select", "<button", 'class="back"']) {
      expect(
        reached.some((html) => html.includes(element)),
        element,
      ).toBe(true);
    }
    await page.context().close();
  });
});

describe("the heap of the reader", () => {
  test("is drawn as the acts leave it: malloc, free, another kind of heap", async () => {
    const { page, faults } = await open();
    await page.goto(`${new URL(address).origin}/try`);
    await page.fill('input[name="bytes"]', "5000");
    await page.click("text=malloc >> nth=-1");
    await page.waitForLoadState();
    expect(await page.locator(".blocks li").allInnerTexts()).toEqual([
      expect.stringMatching(/header[\s\S]*5004 bytes[\s\S]*size 5000/),
      expect.stringMatching(/node[\s\S]*3188 bytes[\s\S]*size 3184/),
    ]);
    expect(await page.locator("svg.map").count()).toBe(1);
    await page.click('button[name="ptr"]');
    await page.waitForLoadState();
    expect(await page.locator(".blocks li").count()).toBe(1);
    await page.selectOption("select", { label: "pages of equal blocks" });
    await page.click("text=begin with an empty one");
    await page.fill('input[name="bytes"]', "16");
    await page.click("button.main");
    await page.waitForLoadState();
    expect(await page.locator("svg.bits rect.user").count()).toBe(1);
    await page.screenshot({ path: join(pictures, "try-pages.png"), fullPage: true });
    expect(faults).toEqual([]);
    await page.context().close();
  });
});

describe("who is let in", () => {
  test("the address without its token, or with a wrong one, shows nothing", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const { origin } = new URL(address);
    for (const path of ["/", "/step/numbers", "/try", "/?token=wrong"]) {
      expect((await page.goto(origin + path))?.status(), path).toBe(403);
    }
    await context.close();
  });

  test("a page of another site can neither read a step nor act on the heap", async () => {
    const { page } = await open();
    const { origin, port } = new URL(address);
    const elsewhere = `http://localhost:${port}`;
    expect((await page.goto(`${elsewhere}/step/numbers`))?.status()).toBe(403);
    const read = await page.evaluate(async (url) => {
      const answer = await fetch(url, { credentials: "include" }).catch((error: Error) => error.name);
      return typeof answer === "string" ? answer : answer.status;
    }, `${origin}/step/numbers`);
    expect(["TypeError", 403]).toContain(read);
    await page.context().close();
  });
});
