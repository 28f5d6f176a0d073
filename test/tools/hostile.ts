// npm run test:hostile: hostile calls on the built package, ten million of them by default. Options:
//   --calls n      how many                          --seed n       where the random numbers begin (printed)
//   --address      on an addon built with AddressSanitizer and UBSan
//   --node file    another Node.js
import { parseArgs } from "node:util";
import { buildAddressAddon } from "./address-addon.js";
import { handOnSignals, heading, run } from "./steps.js";
import { ensure } from "./system-tools.js";

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "10000000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    address: { type: "boolean", default: false },
    node: { type: "string", default: process.execPath },
  },
});

/** What the job prints. */
interface Findings {
  calls: number;
  ended: boolean;
  wrong: Record<string, number>;
  left: number;
  verdict: { ok: boolean };
}

async function environment(): Promise<Record<string, string>> {
  if (!values.address) return {};
  heading("addon with ASan and UBSan");
  if (ensure(["cmake"]).length > 0) process.exit(1);
  const addon = await buildAddressAddon();
  if ("env" in addon) return addon.env;
  console.error(addon.output);
  process.exit(1);
}

/** True where Node.js has ArrayBuffer.prototype.transfer without a switch. */
async function hasTransfer(): Promise<boolean> {
  const { output } = await run(values.node, ["-p", '"transfer" in ArrayBuffer.prototype'], { quiet: true });
  return output.trim() === "true";
}

function isClean({ calls, ended, wrong, left, verdict }: Findings): boolean {
  return calls >= Number(values.calls) && ended && Object.keys(wrong).length === 0 && left === 0 && verdict.ok;
}

handOnSignals();
const env = await environment();
heading(`${values.calls} hostile calls, seed ${values.seed}`);
const flags = ["--expose-gc", ...((await hasTransfer()) ? [] : ["--harmony-rab-gsab-transfer"])];
const job = [...flags, "test/support/hostile-calls.mjs", values.calls, values.seed];
const { code, output } = await run(values.node, job, { env, deadlineSeconds: 6 * 3600 });
const last = output.trim().split("\n").at(-1) ?? "";
const clean = code === 0 && last.startsWith("{") && isClean(JSON.parse(last) as Findings);
console.log(clean ? "clean: nothing stale, nothing left, verify() ok" : `NOT clean (exit ${code})`);
process.exit(clean ? 0 : 1);
