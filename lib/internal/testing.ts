// What tests and benches need beside the public functions; not part of the package's interface.
// Owns nothing. Thread rule: any thread; the system calls that fail are the whole process's.
import { binding, mailbox } from "../native/binding.js";

/** Makes the core's `n`-th system call from now on fail once, in whatever thread (1 is the next one); 0 switches it off. */
export function failSystemCall(n: number): void {
  binding.failSystemCall(n);
}

/** System calls that the core has made so far. */
export function systemCalls(): number {
  return binding.systemCalls();
}

/** malloc and free of the core itself, past the fast path in TypeScript. 0n, and a misuse's number, where they refuse. */
export function mallocByCore(size: number): bigint {
  mailbox.numbers[0] = size;
  binding.malloc();
  return mailbox.pointers[0]!;
}

export function freeByCore(ptr: bigint): number | undefined {
  mailbox.pointers[0] = ptr;
  return binding.free();
}

/** libc's malloc through a plain Node-API addon, to compare with. The pointer is not checked by anything. */
export const libcMalloc: (size: number) => bigint = binding.libcMalloc;
export const libcCalloc: (count: number, size: number) => bigint = binding.libcCalloc;
export const libcRealloc: (ptr: bigint, size: number) => bigint = binding.libcRealloc;
export const libcFree: (ptr: bigint) => void = binding.libcFree;
