// The items table: one page of a connection, a filter, and pages by cursor.

import { html, meter, svg, update } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";

export const PAGE_SIZE = 20;
const PAUSE = 200;

const find = (selector) => document.querySelector(selector);
const filter = () => find("#filter input:checked").value;
const searched = () => find("#search").value.trim() || null;

/** Which part of the items is asked for: a filter, a search, and the cursors of the pages walked so far. */
export function itemsView(onChange) {
  const view = { cursors: [null], next: null, timer: 0 };
  const walk = (cursors) => {
    view.cursors = cursors;
    view.next = null;
    onChange();
  };
  find("#filter").addEventListener("change", () => walk([null]));
  find("#search").addEventListener("input", () => {
    clearTimeout(view.timer);
    view.timer = setTimeout(() => walk([null]), PAUSE);
  });
  find("#items-next").addEventListener("click", () => view.next && walk([...view.cursors, view.next]));
  find("#items-previous").addEventListener("click", () => view.cursors.length > 1 && walk(view.cursors.slice(0, -1)));
  return {
    variables: () => ({ filter: filter(), search: searched(), first: PAGE_SIZE, after: view.cursors.at(-1) }),
    restart: () => { view.cursors = [null]; },
    show: (connection, now) => show(view, connection, now),
  };
}

function show(view, connection, now) {
  const { nodes, totalCount, pageInfo } = connection;
  view.next = pageInfo.hasNextPage ? pageInfo.endCursor : null;
  update(find("#items"), ...nodes.map((item) => row(item, now)));
  find(".items").hidden = !nodes.length;
  showNone(nodes.length);
  const first = (view.cursors.length - 1) * PAGE_SIZE + 1;
  const last = first + nodes.length - 1;
  const shown = text("itemsShown", format.number(first), format.number(last), format.number(totalCount));
  update(find("#items-shown"), nodes.length ? shown : "");
  enable(find("#items-previous"), view.cursors.length > 1);
  enable(find("#items-next"), pageInfo.hasNextPage);
}

// Not `disabled`: a button that is disabled while it has the focus drops a keyboard user's place.
const enable = (button, possible) => button.setAttribute("aria-disabled", String(!possible));

function showNone(count) {
  const none = find("#no-items");
  none.hidden = count > 0;
  none.textContent = text(filter() === "ALL" && !searched() ? "noItems" : "noItemsFiltered");
}

function row(item, now) {
  const number = (shown) => html("td", { class: "number" }, shown);
  return html("tr", { "data-item": item.itemId },
    html("th", { scope: "row" }, ...name(item)),
    html("td", {}, ...mastery(item)),
    number(format.percent(item.accuracy)),
    number(format.number(item.reviews)),
    html("td", { class: item.overdue ? "late" : null }, when(item.nextReviewAt, now)),
    html("td", {}, when(item.lastReviewedAt, now)),
    number(format.responseTime(item.averageResponseTimeMs)));
}

function name({ itemId, spelling, level, mastered, struggling, overdue }) {
  const chips = Object.entries({ mastered, struggling, overdue }).filter(([, holds]) => holds)
    .map(([kind]) => html("span", { class: `chip ${kind}` }, text(`chip_${kind}`)));
  const title = html("span", { class: "spelling", title: itemId }, spelling ?? itemId);
  return [title, ...(level ? [html("span", { class: "level" }, level)] : []), ...chips];
}

function mastery({ masteryLevel, mastered }) {
  if (masteryLevel == null) return [format.percent(null)];
  const bar = svg("svg", { class: "meter", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
  return [meter(bar, masteryLevel, mastered ? "done" : ""), html("span", {}, format.percent(masteryLevel))];
}

function when(instant, now) {
  if (!instant) return format.number(null);
  return html("time", { datetime: instant, title: format.instant(instant) }, format.distance(instant, now));
}
