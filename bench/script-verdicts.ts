// Owns what the suite js is judged by: pagerun's time against each way to get memory there, and its slowest calls against
// theirs where these make an object each. Does not own how that is shown. Pure functions over rows, no state.
import type { ScriptName } from "./options.js";
import type { Metric, Row } from "./rows.js";
import { judge, type Verdict } from "./verdicts.js";

interface Aim {
  workload: string;
  peer: ScriptName;
  limit: number;
}

const kPair = "malloc-free-pair";
const kAims: readonly Aim[] = [
  { workload: kPair, peer: "napi-libc", limit: 0.35 },
  { workload: kPair, peer: "koffi", limit: 0.2 },
  { workload: kPair, peer: "node-ffi", limit: 0.05 },
  { workload: "malloc-view-free", peer: "buffer-unsafe-slow", limit: 0.1 },
  { workload: "malloc-view-free", peer: "buffer-unsafe", limit: 0.5 },
  { workload: "block", peer: "buffer-unsafe-slow", limit: 0.3 },
  { workload: "block-bytes", peer: "napi-external", limit: 1.1 },
];
const kAccessLimit = 1.2;
const kAccessPeer = "dataview";

function medianOf(rows: readonly Row[], workload: string, contender: string, metric: Metric): number | undefined {
  return rows.find((row) => row.workload === workload && row.contender === contender && row.metric === metric)?.median;
}

function ratioVerdict(rows: readonly Row[], { workload, peer, limit }: Aim, metric: "time" | "p999_ns"): Verdict[] {
  const [own, other] = [medianOf(rows, workload, "pagerun", metric), medianOf(rows, workload, peer, metric)];
  if (own === undefined || other === undefined) return [];
  const isTime = metric === "time";
  const verdict = {
    name: `${workload}-to-${peer}${isTime ? "" : "-p999"}`,
    title: `${workload}, ${isTime ? "time" : "p99.9"}`,
    value: own / other,
    limit,
    bound: "most",
    detail: peer,
    workloads: 1,
  } as const;
  return [judge(verdict)];
}

/** The accessors' workloads: those that a DataView does as well. */
function accessAims(rows: readonly Row[]): Aim[] {
  const workloads = new Set(rows.filter(({ contender }) => contender === kAccessPeer).map(({ workload }) => workload));
  return [...workloads].map((workload) => ({ workload, peer: kAccessPeer, limit: kAccessLimit }));
}

/** Every aim of the suite js that can be judged by these rows. */
export function scriptVerdictsOf(rows: readonly Row[]): Verdict[] {
  const own = rows.filter(({ suite }) => suite === "js");
  const slowest = kAims.filter(({ workload }) => workload !== kPair).map((aim) => ({ ...aim, limit: 1 }));
  return [
    ...[...kAims, ...accessAims(own)].flatMap((aim) => ratioVerdict(own, aim, "time")),
    ...slowest.flatMap((aim) => ratioVerdict(own, aim, "p999_ns")),
  ];
}
