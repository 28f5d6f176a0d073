// The subcommand `path`: where the preload library is. Thread rule: the main thread of its process.
import { ownLibraryPath } from "./own-library.js";

const kHelp = `usage: pagerun path

Prints where the library is, for LD_PRELOAD.
`;

/** Prints the path; 1 where the library was not built. */
export async function pathCommand(args: readonly string[]): Promise<number> {
  if (args.length > 0) {
    const asksHelp = args[0] === "--help" || args[0] === "-h";
    (asksHelp ? process.stdout : process.stderr).write(kHelp);
    return asksHelp ? 0 : 2;
  }
  try {
    process.stdout.write(`${ownLibraryPath()}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`pagerun: ${(error as Error).message}\n`);
    return 1;
  }
}
