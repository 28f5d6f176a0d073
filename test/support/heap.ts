// What tests of the heap share: the errors that calls throw, content that tells where it came from, sizes of every kind.
import { PagerunError, verify, view } from "pagerun";
import { afterEach, expect } from "vitest";

/** Ends every test of the calling file with a walk through the whole heap. */
export function verifyAfterEach(): void {
  afterEach(() => {
    expect(verify()).toEqual({ ok: true });
  });
}

/** The PagerunError that `call` throws; the test fails when it throws none, or another error. */
export function thrownBy(call: () => unknown): PagerunError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(PagerunError);
    return error as PagerunError;
  }
  return expect.fail("Expected an error but nothing was thrown");
}

/** The code of the error that `call` throws. */
export function codeOf(call: () => unknown): string {
  return thrownBy(call).code;
}

/** Fills a block with bytes that only this seed gives. */
export function fillWith(ptr: bigint, length: number, seed: number): void {
  const bytes = view(ptr, length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed * 97 + (i >> 8)) & 0xff;
}

/** Whether a block still has the bytes that fillWith gave it. */
export function holds(ptr: bigint, length: number, seed: number): boolean {
  const bytes = view(ptr, length);
  for (let i = 0; i < length; i++) if (bytes[i] !== ((i * 31 + seed * 97 + (i >> 8)) & 0xff)) return false;
  return true;
}

export const kilobyte = 1024;
export const megabyte = 1024 * kilobyte;

/** One size of every kind of block, by name. */
export const kinds = [
  { kind: "tiny", size: 4 },
  { kind: "small", size: 100 },
  { kind: "middle", size: 5000 },
  { kind: "last of the bucket sizes", size: 32 * kilobyte },
  { kind: "large", size: 200_000 },
  { kind: "across stretches", size: 6 * megabyte },
  { kind: "huge", size: 64 * megabyte },
] as const;
