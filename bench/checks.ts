// The command `npm run bench:checks`: what the checks of the fast profile cost in instructions, operation by operation,
// as callgrind counts them in the shipped library and in the same build without checks. What they cost in time:
// `npm run bench -- --suite core --contenders pagerun,pagerun-unchecked`.
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { geometricMean } from "#figures/statistics.js";
import { countInstructions, type Figures } from "./instructions.js";
import { kExitUsage, UsageError } from "./options.js";
import { buildUnchecked } from "./unchecked.js";

const kHelp = `usage: npm run bench:checks

Counts the instructions of single operations with callgrind, in libpagerun.so and in the same build without checks
(-DPAGERUN_WITHOUT_CHECKS=ON), which it makes first, and prints both.
`;

/** A line an operation, and their mean. */
export function formatCosts(checked: Figures, unchecked: Figures): string {
  const shares = [...checked.counts].flatMap(([name, count]) => {
    const without = unchecked.counts.get(name);
    return without === undefined ? [] : [{ name, count, without, share: count / without }];
  });
  const line = (name: string, count: string, without: string, share: number) =>
    `${name.padEnd(44)} ${count.padStart(9)} ${without.padStart(9)}  ${share.toFixed(2)} x`;
  const lines = shares.map(({ name, count, without, share }) =>
    line(name, count.toFixed(1), without.toFixed(1), share),
  );
  const mean = geometricMean(shares.map(({ share }) => share)) ?? 1;
  const title = `${"instructions".padEnd(44)} ${"checked".padStart(9)} ${"without".padStart(9)}`;
  return [title, ...lines, line("geometric mean", "", "", mean)].join("\n");
}

function main(args: readonly string[]): number {
  if (args.length > 0) {
    const isHelp = args.includes("--help");
    (isHelp ? process.stdout : process.stderr).write(kHelp);
    return isHelp ? 0 : kExitUsage;
  }
  const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));
  const release = join(root, "build", "Release");
  const benchProgram = join(release, "pagerun_bench");
  try {
    const unchecked = countInstructions({ benchProgram, library: buildUnchecked(root) });
    console.log(formatCosts(countInstructions({ benchProgram, library: join(release, "libpagerun.so") }), unchecked));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return kExitUsage;
  }
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(main(process.argv.slice(2)));
