// Reads what callgrind wrote: how many instructions the calls made from a function took, callees' callees included.
// Pure functions over the text of its output, written without compressed names and positions.
// Format: https://valgrind.org/docs/manual/cl-format.html

const kFunction = /^fn=(.*)$/;
const kCalls = /^calls=\d+/;
const kCost = /^\S+ (\d+)$/;

/** Instructions of all calls made from each function, by its name; of a name seen twice (threads, files), the sum. */
export function costsOfCalls(text: string): Map<string, number> {
  const costs = new Map<string, number>();
  let name = "";
  let isCost = false;
  for (const line of text.split("\n")) {
    name = kFunction.exec(line)?.[1] ?? name;
    const cost = isCost ? kCost.exec(line)?.[1] : undefined;
    if (cost !== undefined) costs.set(name, (costs.get(name) ?? 0) + Number(cost));
    isCost = kCalls.test(line);
  }
  return costs;
}
