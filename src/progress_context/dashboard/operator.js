// The operator's page: a look every two seconds, a short history of the looks, and the log's events.

import { eventBrowser } from "./event_browser.js";
import * as format from "./format.js";
import { frame } from "./frame.js";
import { ask, ServiceError } from "./graphql.js";
import { lagChart } from "./lag_chart.js";
import { SYSTEM } from "./operator_queries.js";
import { showReadModels } from "./read_models_view.js";
import { showFailure, showPage } from "./states.js";
import { showBuilds, showTiles, showVerdict, showWork } from "./system_view.js";
import { fillTexts, text } from "./texts.js";
import { showLetters, showParked } from "./waiting_view.js";

const EVERY = 2_000;
const LOOKS_KEPT = 150;

const find = (selector) => document.querySelector(selector);
const isSeen = () => document.visibilityState === "visible";
const view = { looks: [], timer: 0, asking: new AbortController() };

fillTexts();
frame().show(null, text("operations"));
const lag = lagChart(find("#lag"));
const events = eventBrowser();

async function refresh() {
  clearTimeout(view.timer);
  view.asking.abort();
  const asking = (view.asking = new AbortController());
  try {
    const { data } = await ask(SYSTEM, {}, asking.signal);
    if (asking.signal.aborted) return;
    show(data.system);
    events.begin();
  } catch (error) {
    if (asking.signal.aborted) return;
    if (!(error instanceof ServiceError)) throw error;
    showFailure(error, null, view.looks.length > 0);
  } finally {
    if (view.asking === asking) view.timer = setTimeout(() => isSeen() && refresh(), EVERY);
  }
}

function show(system) {
  const now = Date.parse(system.at);
  view.looks = [...view.looks, lookOf(system, view.looks.at(-1))].slice(-LOOKS_KEPT);
  showPage();
  find("#fresh").textContent = text("lookedAt", format.clock(system.at));
  find(".fresh").dataset.way = "live";
  showVerdict(system);
  showTiles(system, now);
  lag.show(view.looks);
  showReadModels(system, view.looks, now);
  showWork(system, now);
  showBuilds(system, now);
  showParked(system, now);
  showLetters(system, now);
}

/** What the history keeps of a look: lags by read model, the worst by kind, and rates since the look before. */
function lookOf({ at, head, readModels }, before) {
  const worst = (update) => Math.max(0, ...readModels.filter((model) => model.update === update)
    .map((model) => model.lagEvents));
  const seconds = before ? (Date.parse(at) - Date.parse(before.at)) / 1000 : 0;
  const since = (position, was) => (seconds > 0 && was != null ? (position - was) / seconds : null);
  const positions = Object.fromEntries(readModels.map(({ name, position }) => [name, position]));
  return {
    at, head, positions,
    realtime: worst("realtime"), batch: worst("batch"), rate: since(head, before?.head),
    lags: Object.fromEntries(readModels.map(({ name, lagEvents }) => [name, lagEvents])),
    rates: Object.fromEntries(Object.entries(positions).map(([name, at_]) => [name, since(at_, before?.positions[name])])),
  };
}

document.addEventListener("retry", refresh);
document.addEventListener("visibilitychange", () => (isSeen() ? refresh() : clearTimeout(view.timer)));
refresh();
