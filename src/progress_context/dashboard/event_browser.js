// The log's events, the latest first: by learner, type, position, time.

import { html, update } from "./element.js";
import * as format from "./format.js";
import { ask, ServiceError } from "./graphql.js";
import { EVENTS } from "./operator_queries.js";
import { text } from "./texts.js";

const PAGE_SIZE = 25;

const find = (selector) => document.querySelector(selector);

/** Wire the browser; `begin()` asks for the first page, once. */
export function eventBrowser() {
  const view = { begun: false, last: null, types: new Set(), asking: new AbortController() };
  find("#event-filter").addEventListener("submit", (event) => { event.preventDefault(); look(view, wanted()); });
  find("#event-filter").addEventListener("reset", () => setTimeout(() => look(view, wanted())));
  find("#newest").addEventListener("click", () => look(view, wanted()));
  find("#older").addEventListener("click", () => view.last && look(view, { ...wanted(), before: view.last }));
  return { begin() { if (!view.begun) look(view, wanted()); view.begun = true; } };
}

function wanted() {
  const value = (name) => find(`#event-${name}`).value.trim() || null;
  const at = value("recorded-by");
  return {
    userId: value("learner"), type: value("type"), before: value("before") && Number(value("before")),
    recordedBy: at && `${at}:59.999Z`, first: PAGE_SIZE,
  };
}

async function look(view, variables) {
  view.asking.abort();
  const { signal } = (view.asking = new AbortController());
  try {
    const { data } = await ask(EVENTS, variables, signal);
    if (!signal.aborted) show(view, data.events);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ServiceError)) throw error;
    update(find("#events-none"), error.message || text("downTitle"));
  }
}

function show(view, events) {
  view.last = events.length === PAGE_SIZE ? events.at(-1).position : null;
  update(find("#events"), ...events.map(row));
  for (const { type } of events) view.types.add(type);
  update(find("#event-types"), ...[...view.types].sort().map((type) => html("option", { value: type })));
  update(find("#events-none"), events.length ? "" : text("noEvents"));
  find("#older").setAttribute("aria-disabled", String(view.last === null));
}

function row(event) {
  const learner = event.userId == null ? "–"
    : html("a", { href: `./?${new URLSearchParams({ learner: event.userId })}` }, event.userId);
  const mark = event.voided ? [" ", html("span", { class: "chip overdue" }, text("voided"))] : [];
  return html("li", { "data-position": event.position },
    html("details", {},
      html("summary", {},
        html("span", { class: "at" }, format.number(event.position)),
        html("span", { class: "type" }, event.type, ...mark),
        html("span", { class: "who" }, event.userId ?? "–"),
        html("time", { datetime: event.recordedAt }, format.exact(event.recordedAt))),
      html("dl", { class: "facts" },
        fact("learner", learner), fact("eventId", event.id), fact("source", event.source),
        fact("occurred", format.exact(event.occurredAt)), fact("recorded", format.exact(event.recordedAt)),
        fact("learningDay", event.learningDay ? format.day(event.learningDay) : "–"),
        fact("version", String(event.version)), fact("trace", event.traceId ? html("code", {}, event.traceId) : "–"),
        json("data", event.data), ...(event.context ? [json("context", event.context)] : []))));
}

const fact = (name, shown) => html("div", {}, html("dt", {}, text(name)), html("dd", {}, shown));

const json = (name, value) => html("div", { class: "whole" }, html("dt", {}, text(name)),
  html("dd", {}, html("pre", { tabindex: 0 }, JSON.stringify(value, null, 2))));
