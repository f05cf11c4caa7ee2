"""The report's stylesheet: light and dark, narrow and wide, screen and paper. No font, image or script is fetched."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #14181f; --soft: #5b6472; --line: #e1e5eb; --accent: #2f5bd8;
  --pass: #1a7f4b; --fail: #c02b32; --warn: #9a6200; --unseen: #6a4fb3; --exempt: #2d6a8c; --none: #7a8494;
  --pass-bg: #e5f5ec; --fail-bg: #fdebec; --warn-bg: #fdf2dc; --unseen-bg: #f0ebfb; --exempt-bg: #e6f1f7;
  --none-bg: #eef0f3; --track: #e8ebf0;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #0f1319; --card: #171c24; --ink: #e8ebf0; --soft: #9aa5b5; --line: #2a323e; --accent: #8aa9ff;
    --pass: #5fd39a; --fail: #ff8a8f; --warn: #f0bd62; --unseen: #b9a3f5; --exempt: #86c5e6; --none: #98a3b3;
    --pass-bg: #12301f; --fail-bg: #3a181b; --warn-bg: #35280e; --unseen-bg: #271f3f; --exempt-bg: #14303e;
    --none-bg: #232a35; --track: #2a323e;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 28px 24px 72px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; margin: 4px 0 4px; font-weight: 680; }
h2 { font-size: 19px; letter-spacing: -0.01em; margin: 34px 0 4px; font-weight: 650; }
h3 { font-size: 15.5px; margin: 0; font-weight: 640; }
p { margin: 0; }
a { color: var(--accent); }
code, .mono {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.9em;
}
.brand { font-size: 12px; font-weight: 700; letter-spacing: 0.14em; text-transform: uppercase; color: var(--accent); }
.lead { color: var(--soft); max-width: 76ch; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px 22px; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px 28px;
  margin: 16px 0 16px;
}
.facts dt, .label {
  font-size: 11.5px; font-weight: 650; letter-spacing: 0.06em; text-transform: uppercase; color: var(--soft);
}
.facts dd { margin: 2px 0 0; overflow-wrap: anywhere; }
.overview { display: grid; grid-template-columns: 180px 1fr 1.1fr; gap: 34px; align-items: center; }
.donut { display: block; width: 100%; max-width: 190px; margin: 0 auto; }
.donut text { fill: var(--ink); font-weight: 680; font-size: 30px; text-anchor: middle; }
.donut .small { font-size: 12px; font-weight: 500; fill: var(--soft); }
.legend { list-style: none; margin: 0; padding: 0; }
.legend li { display: flex; gap: 10px; padding: 3px 0; font-size: 14px; border-bottom: 1px solid var(--line); }
.legend li:last-child { border: 0; }
.legend b { margin-left: auto; font-variant-numeric: tabular-nums; }
.dot { flex: none; width: 10px; height: 10px; border-radius: 3px; align-self: center; }
.measure { margin: 0 0 12px; }
.measure:last-child { margin: 0; }
.measure .head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 12px; align-items: baseline; }
.measure .value {
  font-size: 22px; font-weight: 680; letter-spacing: -0.02em; font-variant-numeric: tabular-nums;
}
.bar { display: block; width: 100%; height: 8px; margin: 6px 0 4px; border-radius: 4px; }
.measure small, .note { color: var(--soft); font-size: 13px; }
.PASS { --tone: var(--pass); --back: var(--pass-bg); }
.FAIL { --tone: var(--fail); --back: var(--fail-bg); }
.WARN { --tone: var(--warn); --back: var(--warn-bg); }
.NOT_ASSESSED { --tone: var(--unseen); --back: var(--unseen-bg); }
.EXEMPT { --tone: var(--exempt); --back: var(--exempt-bg); }
.NOT_APPLICABLE, .MANUAL { --tone: var(--none); --back: var(--none-bg); }
.critical, .high { --tone: var(--fail); --back: var(--fail-bg); }
.medium { --tone: var(--warn); --back: var(--warn-bg); }
.low, .none { --tone: var(--none); --back: var(--none-bg); }
.critical.pill { background: var(--fail); color: var(--card); }
.pill {
  display: inline-block; padding: 1px 9px; border-radius: 99px; font-size: 12px; font-weight: 650; white-space: nowrap;
  color: var(--tone); background: var(--back);
}
.dot { background: var(--tone); }
.arc { fill: none; stroke: var(--tone); }
.track { fill: none; stroke: var(--track); }
.bar .rest { fill: var(--track); }
.bar .part { fill: var(--accent); }
.finding { margin: 12px 0; border-left: 4px solid var(--tone); }
.finding header { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; }
.finding header .ids { margin-left: auto; color: var(--soft); font-size: 13px; }
.finding p { margin: 6px 0 0; }
.finding .do { margin-top: 4px; }
.finding .do b { color: var(--accent); font-weight: 640; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
.finding table { margin-top: 10px; }
section > .card { margin-top: 10px; }
th {
  text-align: left; font-size: 11.5px; font-weight: 650; letter-spacing: 0.05em; text-transform: uppercase;
  color: var(--soft);
}
th, td { padding: 7px 12px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
th.wide { width: 38%; }
th.tag { width: 15%; }
.advice td { padding-right: 18px; }
.advice th:last-child { width: 32%; }
td.name { overflow-wrap: anywhere; min-width: 150px; }
td.why { color: var(--soft); font-size: 13px; min-width: 180px; }
.matrix td, .matrix th { padding-right: 8px; font-size: 12px; white-space: nowrap; }
.matrix th.wide { width: 38%; }
th.tag { width: 15%; }
.advice td { padding-right: 18px; }
.advice th:last-child { width: 32%; }
td.name { white-space: normal; font-size: 13px; }
.matrix .PASS, .matrix .FAIL, .matrix .WARN, .matrix .NOT_ASSESSED, .matrix .EXEMPT {
  color: var(--tone); font-weight: 650;
}
.matrix .NOT_APPLICABLE { color: var(--none); }
details { margin: 10px 0 0; }
summary { cursor: pointer; color: var(--accent); font-weight: 600; }
ul.plain, ol.plain { margin: 8px 0 0; padding-left: 20px; }
ol.plain li { padding: 3px 0; }
.columns { columns: 2; column-gap: 36px; }
.columns li { break-inside: avoid; }
.notice { border-left: 4px solid var(--accent); margin: 0 0 12px; padding: 12px 18px; }
footer {
  margin-top: 48px; padding-top: 16px; border-top: 1px solid var(--line); color: var(--soft);
  font-size: 12.5px; overflow-wrap: anywhere;
}
@media (max-width: 860px) {
  .overview { grid-template-columns: 1fr; gap: 20px; }
  .columns { columns: 1; }
}
@media (max-width: 560px) {
  main { padding: 22px 14px 48px; }
  h1 { font-size: 24px; }
  .card { padding: 16px; }
  .finding header .ids { margin-left: 0; width: 100%; }
}
@media print {
  :root { --page: #ffffff; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  .card, tr { break-inside: avoid; }
  .overview { grid-template-columns: 160px 1fr 1fr; }
  .pill, .dot, .finding, .bar { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .scroll { overflow: visible; }
  .matrix td, .matrix th { font-size: 7.5pt; padding-right: 4px; white-space: normal; }
}
"""
