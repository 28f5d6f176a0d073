// The look of the lesson in the browser, in light and dark, on wide and narrow screens. Text only; nothing is loaded.
// Each ink has a ground and a text colour whose contrast is 4.5 to 1 at least, which a test computes.

export interface InkColours {
  readonly ground: string;
  readonly text: string;
}

interface Palette {
  readonly page: string;
  readonly card: string;
  readonly text: string;
  readonly quiet: string;
  readonly line: string;
  readonly link: string;
  readonly inks: Readonly<Record<string, InkColours>>;
}

export const light: Palette = {
  page: "#f7f7f4",
  card: "#ffffff",
  text: "#1c1e21",
  quiet: "#575c64",
  line: "#d9dade",
  link: "#1a52bd",
  inks: {
    header: { ground: "#1f4fa3", text: "#ffffff" },
    user: { ground: "#5b97e0", text: "#06152b" },
    node: { ground: "#b35900", text: "#ffffff" },
    unused: { ground: "#f3dfc1", text: "#4a3210" },
    record: { ground: "#6d3fa8", text: "#ffffff" },
    secret: { ground: "#b3192f", text: "#ffffff" },
  },
};

export const dark: Palette = {
  page: "#131518",
  card: "#1b1e23",
  text: "#e6e8eb",
  quiet: "#a5acb6",
  line: "#363b43",
  link: "#8fb8ff",
  inks: {
    header: { ground: "#7fb0ff", text: "#0b1930" },
    user: { ground: "#3f74bd", text: "#ffffff" },
    node: { ground: "#f0a24a", text: "#2a1700" },
    unused: { ground: "#4a3a22", text: "#f5e8d2" },
    record: { ground: "#c39af0", text: "#22103a" },
    secret: { ground: "#ff8a8f", text: "#3a0509" },
  },
};

function variables({ inks, ...plain }: Palette): string {
  const inkLines = Object.entries(inks).map(([ink, { ground, text }]) => `--${ink}: ${ground}; --on-${ink}: ${text};`);
  return [...Object.entries(plain).map(([name, value]) => `--${name}: ${value};`), ...inkLines].join(" ");
}

const inkRules = Object.keys(light.inks)
  .map((ink) => `.${ink} { --ground: var(--${ink}); --on: var(--on-${ink}); } rect.${ink} { fill: var(--${ink}); }`)
  .join("\n");

export const styleSheet = `
:root { color-scheme: light dark; ${variables(light)} }
@media (prefers-color-scheme: dark) { :root { ${variables(dark)} } }
${inkRules}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 17px/1.55 system-ui, sans-serif; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 12px; top: 8px; background: var(--card); padding: 6px 12px; z-index: 1; }
.frame { display: grid; grid-template-columns: 270px minmax(0, 860px); gap: 40px; max-width: 1220px; margin: 0 auto;
  padding: 28px 24px 80px; }
nav h1 { font-size: 18px; margin: 0 0 10px; }
nav ol { margin: 0; padding-left: 26px; font-size: 15px; }
nav li { margin: 3px 0; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
nav a[aria-current] { font-weight: 700; color: var(--text); }
main h2 { font-size: 27px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.01em; }
main h2:focus { outline: none; }
.quiet { color: var(--quiet); font-size: 14.5px; margin: 4px 0 8px; }
samp { font: inherit; }
code, pre, .dump, .blocks, .chain { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
p code, figcaption code, td code, th code { font-size: 0.9em; background: var(--card); border: 1px solid var(--line);
  border-radius: 4px; padding: 0 4px; }
pre { font-size: 13.5px; line-height: 1.45; overflow-x: auto; margin: 10px 0; }
pre.code { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--link); border-radius: 6px;
  padding: 10px 14px; }
figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; margin: 16px 0; }
figcaption { font-weight: 650; margin-bottom: 4px; }
figure details { margin-top: 10px; font-size: 14.5px; }
summary { cursor: pointer; color: var(--link); }
svg { display: block; width: 100%; height: auto; }
svg.bits { max-width: 720px; }
svg .grid { stroke: var(--card); stroke-width: 0.7; fill: none; }
svg rect.clear { fill: none; stroke: var(--quiet); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; margin: 10px 0 0; font-size: 14px; }
.key { display: inline-block; width: 22px; text-align: center; font-style: normal; font-family: ui-monospace, monospace;
  border-radius: 3px; background: var(--ground); color: var(--on); }
.blocks { list-style: none; display: flex; flex-wrap: wrap; gap: 3px; padding: 0; margin: 0; font-size: 13.5px; }
.blocks li { background: var(--ground); color: var(--on); border-radius: 5px; padding: 7px 10px; flex: 1 1 130px; }
.blocks li > samp, .blocks b, .blocks em, .blocks em samp { display: block; font-style: normal; }
.blocks b { font-family: system-ui, sans-serif; }
.blocks em { margin-top: 4px; padding-top: 4px; border-top: 1px solid currentColor; }
.blocks form { margin-top: 6px; }
.chain { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 12px; margin-top: 12px; font-size: 13.5px; }
.chain b { font-family: system-ui, sans-serif; }
.chain ol { list-style: none; display: flex; flex-wrap: wrap; gap: 6px 0; margin: 0; padding: 0; }
.chain li { padding: 2px 9px; border-radius: 4px; background: var(--ground, transparent); color: var(--on, var(--text)); }
.chain li + li { margin-left: 26px; position: relative; }
.chain li + li::before { content: "→"; position: absolute; left: -20px; color: var(--text); }
.chain .end { border: 1px solid var(--line); }
.dump { font-size: 13.5px; overflow-x: auto; line-height: 1.7; }
.dump .row { white-space: nowrap; }
.dump .at { display: inline-block; min-width: 62px; color: var(--quiet); padding-right: 10px; text-align: right; }
.dump i { white-space: pre; font-style: normal; background: var(--ground); color: var(--on); padding: 1px 0; }
.dump .hex i { padding: 1px 3px; }
.dump .ascii { margin-left: 12px; }
.bars { margin: 6px 0 0; }
.bars dt { font-size: 14.5px; }
.bars dd { margin: 2px 0 10px; display: grid; grid-template-columns: minmax(60px, 1fr) minmax(0, 1.2fr); gap: 12px;
  align-items: center; font-size: 14.5px; font-variant-numeric: tabular-nums; }
.bars svg { height: 14px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14.5px; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.steps { display: flex; flex-wrap: wrap; gap: 10px; margin: 26px 0 0; }
.steps a, button { font: inherit; font-size: 16px; border-radius: 8px; border: 1px solid var(--link); padding: 9px 18px;
  text-decoration: none; background: var(--card); color: var(--link); cursor: pointer; }
.steps a.next, button.main { background: var(--link); color: var(--card); font-weight: 600; }
.steps .back { margin-right: auto; }
form.tools { display: flex; flex-wrap: wrap; gap: 12px; align-items: end; margin: 12px 0; }
label { display: grid; gap: 3px; font-size: 14.5px; }
input, select { font: inherit; font-size: 16px; color: inherit; background: var(--card); border: 1px solid var(--quiet);
  border-radius: 6px; padding: 7px 9px; max-width: 100%; }
.blocks button { padding: 3px 10px; font-size: 13.5px; }
.said { border-left: 4px solid var(--node); padding: 4px 12px; }
@media (max-width: 860px) {
  body { font-size: 16px; }
  .frame { display: flex; flex-direction: column; gap: 32px; padding: 16px 14px 60px; }
  nav { order: 1; border-top: 1px solid var(--line); padding-top: 18px; }
  main h2 { font-size: 23px; }
  figure { padding: 12px 11px; }
  .steps .next { order: -1; flex-basis: 100%; text-align: center; }
  pre { font-size: 12px; }
  .dump { font-size: 11px; }
  .dump .at { min-width: 46px; padding-right: 6px; }
  .dump .hex i { padding: 1px; }
  .dump .ascii { display: block; margin-left: 46px; letter-spacing: 0.15em; }
}
@media print { nav, .steps { display: none; } }
`;
