// The verdicts of the suite js, over rows that are made up.
import { describe, expect, test } from "vitest";
import type { Row } from "../bench/rows.js";
import { scriptVerdictsOf } from "../bench/script-verdicts.js";

function row(workload: string, contender: string, metric: "time" | "p999_ns", median: number): Row {
  return { suite: "js", workload, contender, metric, unit: "s", trials: [median], median } as unknown as Row;
}

function found(name: string, rows: Row[]) {
  return scriptVerdictsOf(rows).find((verdict) => verdict.name === name);
}

describe("a verdict of the suite js", () => {
  const pair = [row("malloc-free-pair", "pagerun", "time", 3), row("malloc-free-pair", "napi-libc", "time", 10)];

  test("is the ratio of medians, against the limit of its aim", () => {
    const verdict = found("malloc-free-pair-to-napi-libc", pair);
    expect(verdict).toMatchObject({ value: 0.3, limit: 0.35, bound: "most", isMet: true, detail: "napi-libc" });
    const slower = [row("malloc-free-pair", "pagerun", "time", 4), pair[1]!];
    expect(found("malloc-free-pair-to-napi-libc", slower)).toMatchObject({ isMet: false });
  });

  test("is there only for a peer that was measured", () => {
    expect(scriptVerdictsOf(pair).map(({ name }) => name)).toEqual(["malloc-free-pair-to-napi-libc"]);
    expect(scriptVerdictsOf(pair.filter(({ contender }) => contender !== "pagerun"))).toEqual([]);
    expect(scriptVerdictsOf(pair.map((one) => ({ ...one, suite: "core" as const })))).toEqual([]);
  });

  test("is made of the slowest calls as well, which may be no slower than the peer's", () => {
    const rows = [row("block", "pagerun", "p999_ns", 900), row("block", "buffer-unsafe-slow", "p999_ns", 1000)];
    expect(found("block-to-buffer-unsafe-slow-p999", rows)).toMatchObject({ value: 0.9, limit: 1, isMet: true });
  });

  test("is made for every workload that a DataView does too", () => {
    const rows = ["pagerun", "dataview"].map((name) => row("get-int32", name, "time", name === "pagerun" ? 3 : 2));
    expect(found("get-int32-to-dataview", rows)).toMatchObject({ value: 1.5, limit: 1.2, isMet: false });
  });
});
