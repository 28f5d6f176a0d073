// sharp, a native package, on memory of pagerun without a copy: libvips reads the pixels where they are.
// The proof: the pixels that sharp gets are all black, and are painted only after sharp has been given them.
import assert from "node:assert/strict";
import { calloc, copyIn, free, getRawPointer, setUint8, toBuffer, verify } from "pagerun";
import sharp from "sharp";

const [width, height, channels] = [64, 64, 3];
const bytes = width * height * channels;

const picture = calloc(bytes);
const pixels = toBuffer(picture, bytes, false);
assert.equal(getRawPointer(pixels), picture);

const image = sharp(pixels, { raw: { width, height, channels } });
for (let i = 0; i < bytes; i += channels) setUint8(picture, i, 200);
const png = await image.png().toBuffer();

const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
assert.deepEqual([info.width, info.height, info.channels], [width, height, channels]);
assert.deepEqual([data[0], data[1], data[2], data[bytes - 3]], [200, 0, 0, 200]);

// The other way round: a compressed picture that lies in a block is read from there.
const compressed = calloc(png.length);
const file = toBuffer(compressed, png.length, false);
const reader = sharp(file);
copyIn(compressed, png);
assert.equal((await reader.stats()).channels[0].mean, 200);

free(picture);
free(compressed);
assert.deepEqual(verify(), { ok: true });
console.log("sharp read pixels that were painted after it had been given them");
