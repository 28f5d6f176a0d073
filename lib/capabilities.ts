// What this runtime lets pagerun do. Owns the answers, found once when the package is loaded. Thread rule: constants.
import { binding } from "./native/binding.js";

/** What works in this process and thread. */
export interface Capabilities {
  /**
   * True when `view` works. False where the runtime allows no ArrayBuffers over memory that is not its own, or where
   * the environment variable PAGERUN_EXTERNAL_VIEWS is 0, which makes pagerun behave as in such a runtime.
   */
  readonly externalViews: boolean;
  /** True when `shared` works: where the runtime can make SharedArrayBuffers over memory that is not its own. */
  readonly sharedViews: boolean;
  /** True when libpagerun.so is preloaded, so that JavaScript and the process's own malloc share one heap. */
  readonly preloaded: boolean;
}

const externalViews = binding.hasExternalBuffers && process.env.PAGERUN_EXTERNAL_VIEWS !== "0";

/**
 * What works in this process.
 *
 * @example
 * ```ts
 * import { capabilities, copyOut, free, malloc, view } from "pagerun";
 *
 * const ptr = malloc(8);
 * const bytes = capabilities.externalViews ? view(ptr, 8) : copyOut(ptr, 8);
 * console.assert(bytes.length === 8);
 * free(ptr);
 * ```
 */
export const capabilities: Capabilities = Object.freeze({
  externalViews,
  sharedViews: externalViews && binding.hasSharedBuffers,
  preloaded: binding.isPreloaded,
});
