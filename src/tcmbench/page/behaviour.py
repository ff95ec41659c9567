"""What the page adds to the stylesheet of the tables, and its script: sort, toggle, unfold."""

CSS = """\
nav { margin: 0.75rem 0; }
nav a { margin-right: 1rem; }
a { color: light-dark(#0057a8, #7cc0ff); }
:focus-visible { outline: 2px solid light-dark(#0057a8, #7cc0ff); outline-offset: 2px; }
h2 { font-size: 1.125rem; margin: 2rem 0 0.5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.5rem; }
caption { text-align: left; padding-bottom: 0.5rem; }
caption span.text { display: block; position: sticky; left: 0; width: min(60rem, 100vw - 2rem); }
figcaption, .lead { max-width: 60rem; }
table { font-size: 0.875rem; }
th.name { white-space: normal; min-width: 6.5rem; }
th, td { padding: 0.2rem 0.4rem; }
.first { padding-left: 1rem; }
td.name { background: var(--paper); }
.columns th.name, .columns th.left { text-align: left; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; }
th button, summary { cursor: pointer; }
/* The sign takes no room: nothing moves when a column is sorted. */
th button { position: relative; }
th button::after { content: "↕"; position: absolute; left: 100%; opacity: 0.4; }
[aria-sort] button:hover { text-decoration: underline; }
[aria-sort="ascending"] button::after { content: "▲"; opacity: 1; }
[aria-sort="descending"] button::after { content: "▼"; opacity: 1; }
.important { border-left: 4px solid #d55e00; padding: 0.25rem 0.75rem; max-width: 60rem; }
figure { margin: 0 0 2rem; break-inside: avoid; }
figcaption { color: var(--quiet); font-size: 0.8125rem; margin-top: 0.4rem; }
.picture { overflow-x: auto; }
.picture img { display: block; max-width: 100%; height: auto; }
.picture img { background: #fff; border-radius: 0.25rem; }
.toggle { border: 1px solid var(--rule); border-radius: 0.25rem; width: fit-content; }
.toggle { padding: 0.3rem 0.75rem; margin: 0 0 1rem; }
.toggle label { margin-right: 1rem; white-space: nowrap; }
.variant { display: none; }
:root:not([data-tcm]) .variant.pair, [data-tcm="pair"] .variant.pair,
[data-tcm="base"] .variant.base, [data-tcm="tcm"] .variant.tcm { display: block; }
summary { padding: 0.15rem 0; }
details.run:target > summary { font-weight: 600; }
.run dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; }
.run dl { margin: 0.5rem 0 0.75rem 1rem; }
.run dt { color: var(--quiet); }
.run dd { margin: 0; overflow-wrap: anywhere; }
.run p { margin: 0 0 0.25rem 1rem; }
.run pre { margin: 0 0 1rem 1rem; max-height: 20rem; overflow: auto; font-size: 0.75rem; }
@media (max-width: 40rem) {
  .picture img { max-width: none; }
  .picture img[src*="svg"] { min-width: 0; }
  .run dl { grid-template-columns: 1fr; }
  .run dd { margin-bottom: 0.3rem; }
  /* Claims one below the other, as five columns do not fit. */
  .claims thead { position: absolute; clip-path: inset(50%); }
  .claims :is(table, tbody, tr, th, td) { display: block; white-space: normal; }
  .claims :is(th, td) { position: static; padding: 0.1rem 0; }
  .claims tr { border-bottom: 1px solid var(--rule); padding: 0.4rem 0; }
  .claims th { font-weight: 600; }
  .claims td:nth-of-type(1):not(:empty)::before { content: "Paper: "; }
  .claims td:nth-of-type(2):not(:empty)::before { content: "Ours: "; }
  .claims small { display: inline; margin-left: 0.4rem; }
}
@media print {
  :root { color-scheme: light; }
  nav, .toggle { display: none; }
  .scroll, .picture { overflow: visible; }
  body { max-width: none; font-size: 0.6875rem; }
  th button::after { content: none; }
  th, td { padding: 0.1rem 0.25rem; }
  h2, h3 { break-after: avoid; }
}"""

SCRIPT = """\
"use strict";
const compare = (a, b) => {
  if (a === "" || b === "") return (a === "") - (b === "");
  const numbers = Number(a) - Number(b);
  return Number.isNaN(numbers) ? a.localeCompare(b) : numbers;
};
const sort = (heading) => {
  const body = heading.closest("table").tBodies[0];
  const down = heading.ariaSort === "ascending";
  const value = (row) => row.cells[heading.dataset.column].dataset.value;
  const rows = [...body.rows].sort((first, second) => {
    const [a, b] = [value(first), value(second)];
    return down && a !== "" && b !== "" ? compare(b, a) : compare(a, b);
  });
  body.append(...rows);
  const headings = heading.parentElement.querySelectorAll("[aria-sort]");
  for (const other of headings) other.ariaSort = "none";
  heading.ariaSort = down ? "descending" : "ascending";
};
for (const button of document.querySelectorAll("[aria-sort] button"))
  button.addEventListener("click", () => sort(button.closest("th")));
for (const choice of document.querySelectorAll("input[name=tcm]"))
  choice.addEventListener("change", () => { document.documentElement.dataset.tcm = choice.value; });
const kept = document.querySelector("input[name=tcm]:checked");
if (kept) document.documentElement.dataset.tcm = kept.value;
const unfold = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) { target.open = true; target.scrollIntoView(); }
};
addEventListener("hashchange", unfold);
unfold();
addEventListener("beforeprint", () => {
  for (const image of document.images) image.loading = "eager";
});"""
