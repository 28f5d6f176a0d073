// A block that is free, with the heap shared by the whole process: what every call says of it. Run with --single-threaded
// and --expose-gc: then nobody takes the block between its free and the next call. Prints the codes as JSON.
import { copyIn, copyOut, free, malloc, realloc, usableSize, verify, view } from "pagerun";

const megabyte = 2 ** 20;
const sizes = [4, 100, 5000, 32 * 1024, 200_000, 6 * megabyte, 64 * megabyte];
// Its memory is there before: made in the call, it might be the freed block.
const bytes = new Uint8Array(new ArrayBuffer(8));
const calls = {
  free: (ptr) => free(ptr),
  realloc: (ptr) => realloc(ptr, 100),
  usableSize: (ptr) => usableSize(ptr),
  view: (ptr) => view(ptr, 8),
  copyIn: (ptr) => copyIn(ptr, bytes),
  copyOut: (ptr) => copyOut(ptr, 8),
};

function codeOf(call, ptr) {
  try {
    call(ptr);
    return "done";
  } catch (error) {
    return error.code;
  }
}

// Code is compiled when it first runs, and compiling allocates.
for (const call of Object.values(calls)) for (let i = 0; i < 3; i++) codeOf(call, 8n);

const found = Object.entries(calls).map(([name, call]) => {
  const codes = sizes.map((size) => {
    const ptr = malloc(size);
    globalThis.gc();
    free(ptr);
    return codeOf(call, ptr);
  });
  return [name, codes];
});
console.log(JSON.stringify({ found: Object.fromEntries(found), verdict: verify() }));
