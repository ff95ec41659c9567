"""The stylesheet of the pages."""

# Green and red-orange differ in lightness as well, and an arrow and a sign say the same again.
CSS = """\
:root {
  color-scheme: light dark;
  --ink: light-dark(#1a1a1a, #e8e8e8);
  --paper: light-dark(#ffffff, #16181b);
  --quiet: light-dark(#595959, #a3a8ae);
  --rule: light-dark(#d5d5d5, #3a3f45);
  --better: light-dark(#00533c, #6fe0b8);
  --better-shade: light-dark(#d3efe5, #0d3a2c);
  --worse: light-dark(#8f2d00, #ffad85);
  --worse-shade: light-dark(#fde3d3, #57230a);
}
body {
  margin: 1.5rem auto;
  max-width: 76rem;
  padding: 0 1rem;
  font: 0.9375rem/1.45 system-ui, sans-serif;
  color: var(--ink);
  background: var(--paper);
}
h1 { font-size: 1.25rem; margin: 0 0 0.25rem; }
h2 { font-size: 1rem; margin: 1.25rem 0 0.5rem; }
p { margin: 0 0 1rem; }
.key { white-space: nowrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.5rem; text-align: right; white-space: nowrap; vertical-align: top; }
thead { border-top: 2px solid; border-bottom: 1px solid; }
thead th { text-align: center; font-weight: 600; }
.columns th { text-align: right; font-weight: 400; color: var(--quiet); }
.name { position: sticky; left: 0; background: var(--paper); text-align: left; font-weight: 400; }
thead .name { font-weight: 600; vertical-align: bottom; }
.first { padding-left: 1.5rem; }
tbody { border-bottom: 1px solid var(--rule); }
tbody:last-child { border-bottom: 2px solid; }
.dataset th { text-align: left; font-weight: 600; padding-top: 0.6rem; }
.dataset span { position: sticky; left: 0.5rem; }
.better, .worse, .equal { padding: 0.05rem 0.35rem; border-radius: 0.2rem; white-space: nowrap; }
.better { color: var(--better); background: var(--better-shade); }
.worse { color: var(--worse); background: var(--worse-shade); }
small { display: block; color: var(--quiet); padding-right: 0.35rem; }
.notes { color: var(--quiet); font-size: 0.8125rem; padding-left: 1.1rem; max-width: 48rem; }
.name span { white-space: nowrap; }
td.left, th.left, td.text, th.text { text-align: left; }
td.text, th.text { white-space: normal; min-width: 14rem; }
.narrow table { width: auto; }
.narrow p { margin: 0.75rem 0; }
.verdict { font-weight: 600; }
@media (max-width: 40rem) { .name { white-space: normal; min-width: 5rem; } }
@media print { .better, .worse { print-color-adjust: exact; } }"""
