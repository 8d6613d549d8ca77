// Pointing at a chart's marks, by pointer, touch or arrow keys, with one tooltip.

import { html } from "./element.js";

/**
 * Make the marks of `host` explorable.
 *
 * Marks are elements with `data-index` 0 … count−1. `chart` has `count`, `keys` (key name → index
 * step) and `describe(index)` → { title, lines }; it is asked anew at every move, so a chart may be
 * redrawn at any time. The tooltip is a live region: what is seen is also read out.
 */
export function explorable(host, chart) {
  const tip = html("div", { class: "tooltip", role: "status", hidden: true });
  const view = { host, chart, tip, index: null };
  host.append(tip);
  const surface = host.querySelector("[data-surface]");
  surface.addEventListener("pointermove", (event) => point(view, indexAt(event)));
  surface.addEventListener("pointerdown", (event) => point(view, indexAt(event)));
  surface.addEventListener("pointerleave", (event) => onLeave(view, event));
  surface.addEventListener("focus", () => surface.matches(":focus-visible") && point(view, chart.count() - 1));
  surface.addEventListener("blur", () => point(view, null));
  surface.addEventListener("keydown", (event) => onKey(view, event));
  return { restore: () => point(view, view.index, { scroll: false }) };
}

function indexAt(event) {
  const mark = event.target.closest("[data-index]");
  return mark ? Number(mark.dataset.index) : null;
}

// A finger leaves as soon as it is lifted; what it touched stays told until something else is touched.
function onLeave(view, event) {
  if (event.pointerType !== "touch") point(view, null);
}

function onKey(view, event) {
  const last = view.chart.count() - 1;
  const steps = { ...view.chart.keys, Home: -Infinity, End: Infinity };
  if (event.key === "Escape") point(view, null);
  else if (event.key in steps && !event.altKey && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    const target = (view.index ?? last) + steps[event.key];
    point(view, Math.max(0, Math.min(last, target)), { scroll: true });
  }
}

function point(view, index, { scroll = false } = {}) {
  const { host, chart, tip } = view;
  host.querySelector(".pointed")?.classList.remove("pointed");
  const mark = index == null ? null : host.querySelector(`[data-index="${index}"]`);
  view.index = mark ? index : null;
  tip.hidden = !mark;
  if (!mark) return;
  mark.classList.add("pointed");
  if (scroll) mark.scrollIntoView({ block: "nearest", inline: "nearest" });
  const { title, lines } = chart.describe(index);
  tip.replaceChildren(html("strong", {}, title), ...lines.map((line) => html("span", {}, line)));
  place(tip, mark.getBoundingClientRect(), host.getBoundingClientRect());
}

function place(tip, mark, host) {
  const middle = mark.left + mark.width / 2 - host.left;
  const left = Math.max(0, Math.min(host.width - tip.offsetWidth, middle - tip.offsetWidth / 2));
  const above = mark.top - host.top - tip.offsetHeight - 8;
  tip.style.setProperty("transform", `translate(${Math.round(left)}px, ${Math.round(above)}px)`);
}
