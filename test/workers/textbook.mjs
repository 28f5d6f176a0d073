// A worker that uses a teaching heap of another thread, by its handle, and says which blocks it left.
import { parentPort, workerData } from "node:worker_threads";
import { TextbookHeap } from "pagerun";

const { handle, seed } = workerData;
const heap = TextbookHeap.from(handle);
const blocks = [];
let random = seed;
for (let i = 0; i < 400; i++) {
  random = (random * 1103515245 + 12345) % 2 ** 31;
  if (blocks.length > 20 || (blocks.length > 0 && random % 3 === 0))
    heap.free(blocks.splice(random % blocks.length, 1)[0]);
  else blocks.push(heap.malloc(random % 300));
}
parentPort.postMessage(blocks);
