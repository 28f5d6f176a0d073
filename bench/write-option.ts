// The command line of the commands that print figures and, when told so, write them into a file of the repository.
// Owns their one option.

/** Whether the figures are to be written. Ends the process when the help is asked for, or anything else. */
export function isWriting(args: readonly string[], help: string): boolean {
  if (args.every((arg) => arg === "--write")) return args.length > 0;
  const isHelp = args.includes("--help");
  (isHelp ? process.stdout : process.stderr).write(help);
  process.exit(isHelp ? 0 : 2);
}
