// The steps of the lesson in their order. Owns the order alone.
import { arenaSteps } from "./scene-arenas.js";
import { bucketPageStep, corePageStep } from "./scene-buckets.js";
import { freeListSteps } from "./scene-free-list.js";
import { heartbleedStep } from "./scene-heartbleed.js";
import { numbersStep } from "./scene-numbers.js";
import type { Step } from "./step.js";

export const steps: readonly Step[] = [
  numbersStep,
  ...freeListSteps,
  ...arenaSteps,
  bucketPageStep,
  corePageStep,
  heartbleedStep,
];
