#include "page/document.h"

namespace bw {
namespace {

// Colours are variables, so that dark is one block. Those of the series keep apart for readers who
// see red and green alike.
constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f7f9; --ink: #1c2430; --soft: #5a6675;
  --edge: #d7dce3; --grid: #e6e9ee; --computed: #2f6db5; --reused: #d3dfee; --rule: #c2410c;
  --notice: #fff4d6; --band: #dfe7f299; --s0: #2f6db5; --s1: #d97706; --s2: #0f8a6d; --s3: #b0307c;
  --s4: #6d5bd0; --s5: #8a6d1d; --s6: #3b8ea5; --s7: #b54a3a; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --card: #1a2028; --ink: #e4e9f0;
  --soft: #9aa6b5; --edge: #323b47; --grid: #28303a; --computed: #6ea8ee; --reused: #2b3a4e;
  --rule: #fb923c; --notice: #3a3016; --band: #2b3a4e80; --s0: #6ea8ee; --s1: #f5a742; --s2: #45c5a0;
  --s3: #ea7dbd; --s4: #a498f2; --s5: #d0b25a; --s6: #74c3d8; --s7: #ee8a78; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1.5rem 1rem 3rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .1rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .3rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; overflow-wrap: anywhere; }
.what { color: var(--soft); margin: 0; }
.how { color: var(--soft); margin: 0 0 .9rem; max-width: 46rem; }
.facts { display: flex; flex-wrap: wrap; gap: .6rem; margin: 0 0 1rem; }
.facts div { display: flex; flex-direction: column-reverse; padding: .5rem .9rem; background: var(--card);
  border: 1px solid var(--edge); border-radius: .5rem; }
.facts dt { color: var(--soft); font-size: .85rem; }
.facts dd { margin: 0; font-size: 1.25rem; font-weight: 600; }
.notice { background: var(--notice); border-radius: .5rem; padding: .6rem .9rem; margin: 0 0 1rem;
  overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin-bottom: 1.2rem; }
a { color: var(--computed); }
section { background: var(--card); border: 1px solid var(--edge); border-radius: .7rem;
  padding: 1.1rem 1.2rem; margin-bottom: 1.2rem; }
svg { max-width: 100%; height: auto; display: block; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .9rem 0 .6rem; padding: 0;
  font-size: .85rem; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: .4rem; overflow-wrap: anywhere; }
.legend svg { flex: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .28rem .9rem .28rem 0; border-bottom: 1px solid var(--edge);
  vertical-align: top; overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td { max-width: 34rem; }
.number { text-align: right; white-space: nowrap; }
details { margin-top: .7rem; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
:focus-visible { outline: 2px solid var(--computed); outline-offset: 2px; }
.multiples { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1rem; }
.multiples figure { margin: 0; min-width: 0; }
.multiples figcaption { font-size: .88rem; margin-bottom: .3rem; overflow-wrap: anywhere; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); gap: .4rem; }
.sheet figure { margin: 0; }
.sheet img { width: 100%; display: block; border-radius: .25rem; background: var(--edge); }
.sheet figcaption { font-size: .75rem; color: var(--soft); text-align: center; }
video { display: block; width: 100%; max-width: 26rem; border-radius: .4rem; margin-bottom: 1rem; background: #000; }
.grid { stroke: var(--grid); }
.axis { stroke: var(--soft); }
.tick, .label { fill: var(--soft); font-size: 12px; }
.label.strong { fill: var(--ink); }
.label.muted { opacity: .55; }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.computed { fill: var(--computed); }
.reused, .stage { fill: var(--reused); }
.partly { fill: var(--computed); }
.cell { stroke: var(--edge); stroke-width: .25; }
.overruled { fill: var(--rule); }
.bar { fill: var(--computed); }
.bar.part { fill: var(--computed); opacity: .55; }
.bar.reused { fill: var(--reused); stroke: var(--computed); stroke-width: .75; }
.reused-band { fill: var(--band); }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; opacity: .8; }
.front { fill: none; stroke: var(--soft); stroke-width: 1.5; }
.threshold { stroke: var(--rule); stroke-width: 1.5; stroke-dasharray: 6 4; }
.dot { fill: var(--c); stroke: var(--card); stroke-width: 1; }
.dot.hollow { fill: var(--card); stroke: var(--c); stroke-width: 2; }
.dot.muted { opacity: .35; }
.chosen { fill: none; stroke: var(--rule); stroke-width: 5; }
.series-0 { --c: var(--s0); } .series-1 { --c: var(--s1); } .series-2 { --c: var(--s2); }
.series-3 { --c: var(--s3); } .series-4 { --c: var(--s4); } .series-5 { --c: var(--s5); }
.series-6 { --c: var(--s6); } .series-7 { --c: var(--s7); }
@media print { body { max-width: none; padding: 0; } nav, video, .sheet + video { display: none; }
  section, figure, .facts div { break-inside: avoid; background: none; }
  .cell, .bar, .stage, .reused-band, .facts div { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
)";

}  // namespace

const char* page_style() { return kStyle; }

}  // namespace bw
