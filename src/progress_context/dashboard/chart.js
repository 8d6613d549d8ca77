// A chart over a list: drawn at its real width, explored by pointer and arrow keys, with a table as its twin.

import { html, tableTwin } from "./element.js";
import { explorable } from "./explore.js";

const LEAST_WIDTH = 120; // below it, the page is still being laid out

/**
 * Draws into `host`; `show(list)` redraws, keeping the pointed entry.
 *
 * `draw(list, width)` gives the SVG with a mark `data-index` for every entry, `describe(entry, list)` what its tooltip
 * says, `table` the twin: { summary, columns, row(entry) }. `help` tells how to use the keys, `foot` comes below.
 */
export function chart(host, { help, draw, describe, table, foot = [] }) {
  const surface = html("div", {
    class: "explore", "data-surface": true, tabindex: 0, role: "application", "aria-label": help,
  });
  let list = [];
  const twin = tableTwin(table.summary, table.columns, () => list.toReversed().map(table.row));
  host.replaceChildren(surface, html("div", { class: "chart-foot" }, twin.node, ...foot));
  const pointer = explorable(host, {
    keys: { ArrowLeft: -1, ArrowRight: 1 }, count: () => list.length, describe: (index) => describe(list[index], list),
  });
  const redraw = () => {
    if (!list.length || surface.clientWidth < LEAST_WIDTH) return;
    surface.replaceChildren(draw(list, surface.clientWidth));
    pointer.restore();
  };
  new ResizeObserver(redraw).observe(surface);
  return { show(entries) { list = entries; twin.refill(); redraw(); } };
}
