// A worker that frees the blocks of workerData, and says so.
import { parentPort, workerData } from "node:worker_threads";
import { free } from "pagerun";

for (const ptr of workerData) free(ptr);
parentPort.postMessage("freed");
