// Owns the description of the machine and of the versions that a comparison ran on.
// Does not own the versions of the contenders by preload (contenders.ts). Reads only.
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";

export interface Machine {
  processor: string;
  cores: number;
  memoryBytes: number;
  system: string;
  kernel: string;
  node: string;
  v8: string;
}

function systemName(): string {
  try {
    const match = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync("/etc/os-release", "utf8"));
    return match?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() || `unknown ${process.arch}`,
    cores: processors.length,
    memoryBytes: totalmem(),
    system: systemName(),
    kernel: release(),
    node: process.version,
    v8: process.versions.v8,
  };
}

/** Running programs for each core from which on they are in the way. */
const kBusyShare = 0.5;

/** A sentence about what else runs on the machine, where that will be in the figures. `load` is the mean of a minute. */
export function describeLoad(load: number = loadavg()[0] ?? 0, cores: number = cpus().length): string | undefined {
  if (load <= cores * kBusyShare) return undefined;
  const programs = load.toFixed(1);
  return `WARNING: the machine is busy: ${programs} programs run on its ${cores} cores; the workloads of several threads will vary`;
}

/** The machine in one line. */
export function formatMachine(machine: Machine): string {
  const memory = `${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  return [
    `${machine.processor}, ${machine.cores} ${machine.cores === 1 ? "core" : "cores"}, ${memory}`,
    `${machine.system}, kernel ${machine.kernel}`,
    `Node ${machine.node}, V8 ${machine.v8}`,
  ].join(" · ");
}
