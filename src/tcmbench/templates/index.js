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
});
