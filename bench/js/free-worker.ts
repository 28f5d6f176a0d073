// The worker thread of the workload "remote-free": frees what the main thread allocates. Owns nothing.
// Thread rule: runs as a worker only, with a WorkerInput.
import { workerData } from "node:worker_threads";
import { loadScriptContender, type ManualContender } from "./contenders.js";
import { consume, makeRing, type WorkerInput } from "./remote-free.js";

const { contender, blocks, memory } = workerData as WorkerInput;
const { free } = (await loadScriptContender(contender)) as ManualContender<bigint>;
consume(makeRing(memory), blocks, free);
