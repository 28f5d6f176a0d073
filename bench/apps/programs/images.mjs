// sharp resizes a batch of images to three sizes each, so many at a time, with its own threads fixed.
import sharp from "sharp";
import { rest } from "../support/rest.mjs";

const images = 24;
const atATime = 4;
const widths = [1600, 800, 200];
sharp.concurrency(2);
sharp.cache(false);

function picture(width, height) {
  const noise = { type: "gaussian", mean: 128, sigma: 40 };
  return sharp({ create: { width, height, channels: 3, noise } })
    .jpeg({ quality: 85 })
    .toBuffer();
}

async function resize(original) {
  for (const width of widths) await sharp(original).resize({ width }).jpeg({ quality: 80 }).toBuffer();
}

const originals = await Promise.all([picture(2400, 1600), picture(1800, 1800), picture(2000, 3000)]);
let next = 0;
async function worker() {
  while (next < images) await resize(originals[next++ % originals.length]);
}
await Promise.all(Array.from({ length: atATime }, worker));
originals.length = 0;
await rest();
