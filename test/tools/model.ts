// npm run test:model: spin walks every order of steps of test/model/remote_frees.pml; then each FAULT of it, which must be
// found. Ends with 1 when the protocol breaks a property, or a fault breaks none. Owns build-test/model.
//   --only n      one fault; 0 is the protocol as it is
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { count, type Ended, finish, handOnSignals, heading, root, run } from "./steps.js";
import { ensure } from "./system-tools.js";

const model = join(root, "test/model/remote_frees.pml");
const { values } = parseArgs({ options: { only: { type: "string" } } });

interface Fault {
  number: string;
  name: string;
  says: string;
}

/** What the walk looks for: broken assertions and deadlocks, or cycles in which nothing ends. */
type Search = "safety" | "progress";
const switches = { safety: ["-DSAFETY"], progress: ["-DNP"] };
const starts = { safety: [], progress: ["-l"] };

/** Enough for every order of steps. */
const depth = "-m100000";

function readFaults(): Fault[] {
  const line = /^#define ([A-Z_]+) (\d+) +\/\* (.+) \*\/$/gm;
  return [...readFileSync(model, "utf8").matchAll(line)].map(([, name = "", number = "", says = ""]) => ({
    name,
    number,
    says,
  }));
}

/** Runs a command in the fault's own folder. */
function inside(directory: string, command: string): Promise<Ended> {
  return run("sh", ["-c", `cd "$1" && ${command}`, "sh", directory], { quiet: true, deadlineSeconds: 1800 });
}

interface Walk {
  /** Undefined when the walk did not come to its end. */
  errors: number | undefined;
  states: string;
  output: string;
}

async function walk(number: string, search: Search): Promise<Walk> {
  const directory = join(root, "build-test/model", `${search}-${number}`);
  mkdirSync(directory, { recursive: true });
  // A fault is found soon: its walk is not worth the time that it takes to optimise it.
  const level = number === "0" ? "-O1" : "-O0";
  const build = `spin -DFAULT=${number} -a "${model}" > spin.log && gcc ${level} -w ${switches[search].join(" ")} -DCOLLAPSE -o pan pan.c`;
  const built = await inside(directory, build);
  if (built.code !== 0) return { errors: undefined, states: "0", output: built.output };
  const { output } = await inside(directory, `./pan ${starts[search].join(" ")} ${depth}`);
  const errors = /errors: (\d+)/.exec(output)?.[1];
  const isWhole = !/max search depth too small|out of memory/.test(output);
  const states = /(\S+) states, stored/.exec(output)?.[1] ?? "0";
  return { errors: isWhole && errors !== undefined ? Number(errors) : undefined, states, output };
}

async function expectSound(search: Search): Promise<void> {
  const { errors, states, output } = await walk("0", search);
  if (errors === 0) console.log(`sound   ${search}: ${states} states, no error`);
  else console.log(`FAILED  ${search}: ${errors ?? "not walked to its end"}\n${output}`);
  count("model of the protocol", errors === 0 ? { passed: 1 } : { failed: 1 }, [search]);
}

async function expectFound({ number, name, says }: Fault): Promise<void> {
  const search = says.includes("progress") ? "progress" : "safety";
  const { errors, output } = await walk(number, search);
  const isFound = errors !== undefined && errors > 0;
  const how = /^pan:\d+: (.+) \(at depth/m.exec(output)?.[1] ?? "";
  console.log(isFound ? `found   ${name}: ${says} (${how})` : `FAILED  ${name} breaks no property: ${says}\n${output}`);
  count("faults of the model", isFound ? { passed: 1 } : { failed: 1 }, [name]);
}

handOnSignals();
heading("the protocol of remote frees as a model, in every order of steps");
const missing = ensure(["spin", "gcc"]);
count("programs that the model needs", { failed: missing.length });
const faults = readFaults().filter(({ number }) => values.only === undefined || number === values.only);
if (missing.length === 0) {
  if (values.only === undefined || values.only === "0") {
    await expectSound("safety");
    await expectSound("progress");
  }
  for (const fault of faults) await expectFound(fault);
}
finish();
