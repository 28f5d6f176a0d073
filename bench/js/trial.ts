// Owns one trial of the js suite: node trial.js WORKLOAD CONTENDER --steps N [--latency]
// Prints the report as its last line, as pagerun_bench does. A process of its own for each trial.
import { parseArgs } from "node:util";
import type { ScriptName } from "../options.js";
import type { TrialReport } from "../rows.js";
import { kAccessWorkloads } from "./access.js";
import { isScriptName, loadScriptContender } from "./contenders.js";
import { measureLatencies, measureRest, measureTime, readResidentBytes } from "./measure.js";
import { kRemoteFree, measureRemoteFree } from "./remote-free.js";
import { canDo, kScriptWorkloads, type ScriptWorkload, type Step } from "./workloads.js";

async function prepareStep(workload: ScriptWorkload, name: ScriptName): Promise<Step> {
  const step = canDo(workload.needs, name) ? workload.prepare(await loadScriptContender(name)) : undefined;
  if (!step) throw new Error(`${name} cannot do ${workload.name}`);
  return step;
}

async function runLatency(workload: ScriptWorkload, name: ScriptName, steps: number): Promise<TrialReport> {
  const latencies = measureLatencies(await prepareStep(workload, name), steps);
  return { workload: workload.name, ops: steps * workload.operationsPerStep, ...latencies };
}

async function runTime(workload: ScriptWorkload, name: ScriptName, steps: number): Promise<TrialReport> {
  const time = measureTime(await prepareStep(workload, name), steps);
  return timeReport(workload.name, time, steps * workload.operationsPerStep);
}

function timeReport(workload: string, time: number, ops: number): TrialReport {
  return { workload, ops, time, ns_per_op: (time * 1e9) / ops };
}

async function run(workloadName: string, name: string, steps: number, latency: boolean): Promise<TrialReport> {
  if (!isScriptName(name)) throw new Error(`no contender ${name}`);
  if (workloadName === kRemoteFree.name) {
    return timeReport(workloadName, await measureRemoteFree(name, steps), steps);
  }
  const workload = [...kScriptWorkloads, ...kAccessWorkloads].find((candidate) => candidate.name === workloadName);
  if (!workload) throw new Error(`no workload ${workloadName}`);
  return latency ? runLatency(workload, name, steps) : runTime(workload, name, steps);
}

const { values, positionals } = parseArgs({
  options: { steps: { type: "string" }, latency: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [workload = "", contender = ""] = positionals;
const report = await run(workload, contender, Number(values.steps), values.latency);
if (!values.latency) {
  // What the workload kept is out of reach by now.
  report.rest_rss = await measureRest();
  report.peak_rss = readResidentBytes("VmHWM");
}
process.stdout.write(`${JSON.stringify(report)}\n`);
