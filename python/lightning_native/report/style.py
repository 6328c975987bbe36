"""The page's style and script: text in modules, because only modules travel to a controller on Lightning."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1e21; --faint: #5b6470; --line: #d7dbe0; --box: #f4f5f7;
  --link: #1f5fbf; --on-state: #fff; --succeeded: #1a7a42; --failed: #c03030; --running: #1f66c7; --stopped: #8a5a00;
  --waiting: #636c78; --boot: #6f4fb3; --preparation: #a34d86; --idle: #c9ced6; }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --ink: #e6e8eb; --faint: #a3abb7; --line: #343a43;
  --box: #1d2127; --link: #8ab6f5; --on-state: #14161a; --succeeded: #53c285; --failed: #f37e7e; --running: #74adf5;
  --stopped: #dcae54; --waiting: #98a1ad; --boot: #b19ae6; --preparation: #dd92c4; --idle: #3d444e; } }
* { box-sizing: border-box; }
body { margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; } h3 { font-size: 1rem; margin: 0; }
a { color: var(--link); } :focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.faint { color: var(--faint); } .wide { overflow-x: auto; }
svg text { font-size: 12px; fill: var(--ink); } svg .label { fill: var(--faint); }
svg .in-box { fill: var(--on-state); }
svg a:focus-visible rect { stroke: var(--ink); stroke-width: 3; }
.edge { fill: none; stroke: var(--waiting); } .tick { stroke: var(--line); }
.succeeded, .completed { --state: var(--succeeded); } .failed { --state: var(--failed); }
.running, .preparing { --state: var(--running); } .stopped { --state: var(--stopped); }
.pending, .skipped { --state: var(--waiting); } .boot { --state: var(--boot); }
.preparation { --state: var(--preparation); } .idle { --state: var(--idle); } .steps { --state: var(--running); }
svg rect { fill: var(--state); } .mark { color: var(--state); font-weight: 600; white-space: nowrap; }
.key { display: inline-block; margin-right: 1em; }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; background: var(--state);
  border-radius: 2px; margin-right: .3em; }
.failure { border-left: 4px solid var(--failed); background: var(--box); padding: .7rem 1rem; margin: .7rem 0; }
table { border-collapse: collapse; width: 100%; overflow-wrap: normal; }
th { text-align: left; font-weight: 600; white-space: nowrap; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:last-child:not(.number) { min-width: 12rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.total td { font-weight: 600; } tr:target, details:target { background: var(--box); }
pre { background: var(--box); padding: .7rem; overflow-x: auto; white-space: pre-wrap;
  word-break: break-word; margin: .5rem 0; }
summary { cursor: pointer; padding: .2rem 0; } img { max-width: 100%; height: auto; }
figure { display: inline-block; margin: 0 1rem 1rem 0; max-width: 22rem; vertical-align: top; }
input { font: inherit; padding: .3rem .5rem; width: 100%; max-width: 22rem; color: inherit; background: var(--box);
  border: 1px solid var(--faint); border-radius: 4px; }
"""

SCRIPT = """
const search = document.getElementById("search");
search.addEventListener("input", () => {
  const wanted = search.value.toLowerCase();
  for (const row of document.querySelectorAll("#steps tbody tr")) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
});
const open = () => {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (place && place.tagName === "DETAILS") {
    place.open = true;
  }
};
addEventListener("hashchange", open);
open();
"""
