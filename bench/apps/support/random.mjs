// Random numbers that are the same in every run: each allocator gets the same work.

/** A generator of whole numbers below its argument, by three shifts (Marsaglia, Xorshift RNGs, 2003). `seed` is not 0. */
export function randomFrom(seed) {
  let state = seed * 0x9e3779b1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}
