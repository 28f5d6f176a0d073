// What a step of the lesson is. Owns the type alone; the steps are the files scene-*.ts, their order is steps.ts.
import type { Piece } from "./picture.js";

export interface Step {
  /** In the address of its page: letters and hyphens. */
  readonly id: string;
  readonly title: string;
  /**
   * Does what the step tells of, on heaps of its own, and draws what they say. Everything that it took is given back
   * when it returns or throws. It may take a second or two where it measures. The thread that called it.
   */
  run(): Piece[];
}
