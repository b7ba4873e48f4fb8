"""How the page looks, on a screen and in print."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root { color-scheme: light; --ink: #1d1f24; --faint: #5c6068; --line: #d9dbe0; --ground: #f6f7f9;
  --best: #0b5cad; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; }
main, header, footer { max-width: 73rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; margin: 3rem 0 .75rem; padding-top: 1.25rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, ul.plain { max-width: 46rem; margin: .5rem 0; }
.lead { color: var(--faint); max-width: none; margin: 0; overflow-wrap: anywhere; }
.note { color: var(--faint); font-size: .9rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 1.25rem 0 0;
  padding: 0; }
a { color: var(--best); }
a:focus-visible, .wide:focus-visible { outline: 2px solid var(--best); outline-offset: 2px; }
ul.found { max-width: 46rem; margin: .75rem 0; padding: 0; list-style: none; }
ul.found li { margin: .5rem 0; padding: .6rem .9rem; background: var(--ground);
  border-left: 3px solid var(--best); }
.wide { overflow-x: auto; margin: 1rem 0; position: relative; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .95rem; }
caption { text-align: left; color: var(--faint); font-size: .9rem; padding-bottom: .4rem;
  white-space: nowrap; }
th, td { padding: .4rem 1.25rem .4rem 0; text-align: right; vertical-align: baseline; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; font-weight: 600; }
thead th { font-weight: 600; border-bottom: 2px solid var(--ink); vertical-align: bottom; }
thead small { display: block; font-weight: 400; color: var(--faint); }
td small { color: var(--faint); }
td.plot, td svg { vertical-align: middle; }
.best { font-weight: 700; }
.best::before { content: "\\25cf\\a0"; color: var(--best); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
table.words td, table.words th { text-align: left; white-space: normal; overflow-wrap: anywhere;
  vertical-align: top; }
table.words th { min-width: 9rem; padding-right: 1.5rem; }
table.words td { padding-right: .75rem; }
code { font: .88em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr));
  gap: 1rem; margin: 1rem 0; }
.curves svg, .strip img { display: block; max-width: 100%; height: auto; }
.curves svg { width: 100%; border: 1px solid var(--line); border-radius: 4px; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .75rem;
  list-style: none; margin: .75rem 0 1.5rem; padding: 0; }
.strip figure { margin: 0; }
.strip img { width: 100%; border-radius: 3px; }
.strip figcaption { font-size: .82rem; line-height: 1.35; color: var(--faint); margin-top: .3rem;
  overflow-wrap: anywhere; }
footer { color: var(--faint); font-size: .9rem; margin-top: 3rem; padding-bottom: 3rem; }
@media (max-width: 40rem) {
  body { font-size: 15px; }
  main, header, footer { padding-left: 1rem; padding-right: 1rem; }
  h1 { font-size: 1.6rem; }
  .strip { grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); }
  th, td { padding-right: .9rem; }
}
@media print {
  @page { margin: 15mm 14mm; }
  :root, body { font-size: 9.5pt; }
  main, header, footer { max-width: none; padding: 0; }
  nav, footer { display: none; }
  h2 { margin-top: 1.5rem; padding-top: .75rem; }
  h2, h3, caption { break-after: avoid; }
  tr, figure, .curves > *, ul.found li { break-inside: avoid; }
  .wide { overflow: visible; }
  table { font-size: 8.5pt; }
  th, td { padding-right: .7rem; }
  .curves { grid-template-columns: repeat(3, 1fr); gap: .5rem; }
  .strip { grid-template-columns: repeat(7, 1fr); gap: .4rem; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY = f"default-src 'none'; img-src data:; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
"""The page's Content-Security-Policy: nothing but its own style and pictures."""
