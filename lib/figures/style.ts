// Owns the look of the report in light and dark, and its one switch. Text only; nothing is loaded from elsewhere.

const kLight = `
  --page: #f7f7f5; --card: #ffffff; --text: #1c1e21; --quiet: #62676f; --line: #e2e3e6; --one: #8a9099;
  --good: #0a7a4b; --bad: #b4331f; --pagerun: #1f5fd6; --base: #7d838c;
  --a: #d08700; --b: #2f9e6e; --c: #a04fc4; --d: #c2487a; --e: #5b8da6; --f: #9a6b3f;`;

const kDark = `
  --page: #131518; --card: #1b1e23; --text: #e6e8eb; --quiet: #9aa1ab; --line: #2d3138; --one: #7b828d;
  --good: #4cc38a; --bad: #f0806b; --pagerun: #6ea3ff; --base: #8d949e;
  --a: #e0a63a; --b: #58c795; --c: #c58be0; --d: #e685ad; --e: #84b6cf; --f: #c79a6c;`;

const kContenderColours = ["pagerun", "base", "a", "b", "c", "d", "e", "f"]
  .map((name) => `.k-${name} { --ink: var(--${name}); }`)
  .join("\n");

export const kStyle = `
:root { color-scheme: light dark; ${kLight} }
@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { ${kDark} } }
:root[data-theme="dark"] { color-scheme: dark; ${kDark} }
:root[data-theme="light"] { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1520px; margin: 0 auto; padding: 28px 28px 64px; }
header { display: flex; justify-content: space-between; align-items: flex-start; gap: 24px; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 40px 0 4px; }
p { margin: 4px 0; max-width: 130ch; }
.quiet { color: var(--quiet); }
button { font: inherit; color: var(--quiet); background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 4px 12px; cursor: pointer; white-space: nowrap; }
.tiles { display: flex; flex-wrap: wrap; gap: 11px; margin: 22px 0; }
.tile, figure, details, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 13px 15px; }
.tile h3 { margin: 0 0 8px; font-size: 14px; font-weight: 600; }
.tile dl { display: flex; gap: 16px; margin: 0; }
.tile dt { font-size: 12px; color: var(--quiet); }
.tile dd { margin: 0; font-size: 22px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile small { font-size: 12px; color: var(--quiet); }
.good { color: var(--good); } .bad { color: var(--bad); }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 10px 0; font-size: 13px; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; background: var(--ink); margin-right: 6px;
  vertical-align: -1px; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); gap: 14px; align-items: start; }
figure { margin: 0; padding: 14px 14px 10px; }
figure.wide { margin-top: 14px; max-width: 820px; overflow-x: auto; }
figure.wide svg { min-width: 620px; }
figcaption { font-size: 14px; font-weight: 600; margin-bottom: 6px; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 11.5px system-ui, sans-serif; fill: var(--text); }
svg text.tick { font-size: 10.5px; fill: var(--quiet); }
svg text.strong { font-weight: 700; }
svg text.figure { font-size: 10.5px; }
.grid { stroke: var(--line); stroke-width: 1; fill: none; }
.one { stroke: var(--one); stroke-width: 1.4; fill: none; }
.bar rect { fill: var(--ink); opacity: 0.6; }
.bar.k-pagerun rect { opacity: 1; }
.bar .whisker { stroke: var(--text); stroke-width: 1; opacity: 0.75; fill: none; }
.bar:hover rect { opacity: 0.85; }
.range path { stroke: var(--ink); stroke-width: 1.6; fill: none; }
.range circle { fill: var(--ink); stroke: var(--ink); stroke-width: 1.4; }
.range circle.hollow { fill: var(--card); }
details { margin-top: 14px; padding: 10px 16px; }
summary { cursor: pointer; font-weight: 600; font-size: 14px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin-top: 10px; }
th, td { text-align: right; padding: 3px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--quiet); font-weight: 600; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
td.wrap { white-space: normal; min-width: 320px; text-align: left; }
@media (max-width: 640px) {
  main { padding: 16px 12px 40px; }
  header { flex-direction: column-reverse; gap: 8px; }
  ul { padding-left: 20px; }
}
${kContenderColours}
`;

export const kScript = `
document.querySelector("button").addEventListener("click", () => {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
});
`;
