// Owns the order in which contenders take turns. Pure functions, no state.

/**
 * The turns of one round: each round starts with the next contender, and every other round goes backwards, so that
 * none always runs first or always behind the same other one.
 */
export function orderForRound<Turn>(turns: readonly Turn[], round: number): Turn[] {
  const step = round % 2 === 0 ? 1 : -1;
  return turns.map((_, index) => turns.at((round + step * index) % turns.length) as Turn);
}
