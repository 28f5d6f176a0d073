// ArrayBuffer.prototype.transfer, which Node.js 20 has behind a switch that only new contexts heed.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Transfer = (this: ArrayBuffer, length?: number) => ArrayBuffer;

function transferFunction(): Transfer {
  const { transfer } = ArrayBuffer.prototype as { transfer?: Transfer };
  if (transfer !== undefined) return transfer;
  setFlagsFromString("--harmony-rab-gsab-transfer");
  return runInNewContext("ArrayBuffer.prototype.transfer") as Transfer;
}

const transferMemory = transferFunction();

/** Moves the memory of an ArrayBuffer into a new one; with another length, the new one has a copy and the memory is freed. */
export function transferred(buffer: ArrayBufferLike, length = buffer.byteLength): ArrayBuffer {
  return transferMemory.call(buffer as ArrayBuffer, length);
}
