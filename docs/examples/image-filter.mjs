// A box blur of a 12-megapixel picture, in memory of pagerun: two blocks of 48 MB that are there when the filter wants
// them and gone when it is done, without the garbage collector and without WebAssembly.
import assert from "node:assert/strict";
import { free, getUint32, malloc, memoryStats, verify, view } from "pagerun";

const [width, height, channels, radius] = [4000, 3000, 4, 4];
const bytes = width * height * channels;

/** Blurs along lines: `step` bytes from one pixel of a line to the next, `stride` from one line to the next. */
function blurLines(from, to, { count, length, step, stride }) {
  const around = 2 * radius + 1;
  for (let line = 0; line < count; line++) {
    for (let channel = 0; channel < channels; channel++) {
      const start = line * stride + channel;
      const at = (i) => start + Math.min(Math.max(i, 0), length - 1) * step;
      let sum = 0;
      for (let i = -radius; i <= radius; i++) sum += from[at(i)];
      for (let i = 0; i < length; i++) {
        to[start + i * step] = (sum / around) | 0;
        sum += from[at(i + radius + 1)] - from[at(i - radius)];
      }
    }
  }
}

const rows = { count: height, length: width, step: channels, stride: width * channels };
const columns = { count: width, length: height, step: width * channels, stride: channels };

/** A picture whose blur is known: a dark and a bright half, apart by a vertical edge. */
function paint(pixels) {
  pixels.fill(255);
  for (let y = 0; y < height; y++) pixels.fill(0, y * rows.stride, y * rows.stride + rows.stride / 2);
}

const picture = malloc(bytes);
const between = malloc(bytes);
paint(view(picture, bytes));
blurLines(view(picture, bytes), view(between, bytes), rows);
blurLines(view(between, bytes), view(picture, bytes), columns);

for (let x = 0; x < width; x++) {
  const bright = Math.min(Math.max(x + radius + 1 - width / 2, 0), 2 * radius + 1);
  const expected = ((bright * 255) / (2 * radius + 1)) | 0;
  for (const y of [0, 1, height / 2, height - 1]) {
    const pixel = getUint32(picture, y * rows.stride + x * channels);
    assert.equal(pixel, Math.imul(expected, 0x01010101) >>> 0, `pixel ${x}, ${y}`);
  }
}
free(picture);
free(between);
assert.deepEqual(verify(), { ok: true });
const { mappingBytes } = memoryStats();
console.log(`${width} x ${height} pixels blurred, ${mappingBytes} bytes left in mappings`);
