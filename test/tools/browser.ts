// npm run test:browser: the lesson as a reader meets it, in Chromium. Owns what has to be there before: the browser and
// the build. The tests are in `test/browser/`.
import { isBuilt, nodeGyp } from "./native-build.js";
import { check, count, finish, handOnSignals, heading } from "./steps.js";
import { vitest } from "./suites.js";
import { ensure } from "./system-tools.js";

async function prepare(): Promise<boolean> {
  heading("the browser");
  const missing = ensure(["chromium"]);
  console.log(missing.length === 0 ? "there" : "the tests need it");
  count("the browser", { failed: missing.length });
  if (missing.length > 0) return false;
  if (!isBuilt() && !(await check("native build (node-gyp)", process.execPath, nodeGyp))) return false;
  return check("TypeScript build (ESM and CJS)", "npm", ["run", "--silent", "build:ts"]);
}

handOnSignals();
if (await prepare()) await vitest("lesson in the browser", ["--config", "test/browser/vitest.config.ts"]);
else count("lesson in the browser", { failed: 1 });
finish();
