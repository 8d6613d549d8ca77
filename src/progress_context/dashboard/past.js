// Any past moment: chosen on the clock of UTC, kept in the address, and clearly told.

import * as format from "./format.js";
import { text } from "./texts.js";

const DAY = 86_400_000;
const WAYS = ["knownAt", "happenedBy"];

const find = (selector) => document.querySelector(selector);
const chosenWay = () => find("#ways input:checked").value;

/** The moment in the address as GraphQL's `asOf`, null for now: `{ knownAt: "2026-11-03T12:00:00Z" }`. */
export function momentOfUrl() {
  const parameters = new URLSearchParams(location.search);
  const way = WAYS.find((name) => parameters.has(name));
  const at = way && Date.parse(parameters.get(way));
  return at ? { [way]: new Date(at).toISOString().replace(".000Z", "Z") } : null;
}

/** An address with another moment, or with none. */
export function withMoment(url, moment) {
  for (const way of WAYS) url.searchParams.delete(way);
  for (const [way, at] of Object.entries(moment ?? {})) url.searchParams.set(way, at);
  return url;
}

/** Wire the bar; `onGo(moment)` is called with the moment chosen, null for now. */
export function pastBar(onGo) {
  const view = { moment: null };
  const go = (at) => onGo({ [chosenWay()]: new Date(Math.min(at, Date.now())).toISOString().slice(0, 19) + "Z" });
  const now = () => Date.parse(Object.values(view.moment ?? {})[0] ?? new Date().toISOString());
  find("#look-back").addEventListener("click", () => onToggle(view));
  find("#back").addEventListener("click", () => { open(false); onGo(null); find("#look-back").focus(); });
  find("#earlier").addEventListener("click", () => go(now() - DAY));
  find("#later").addEventListener("click", () => (now() + DAY >= Date.now() ? onGo(null) : go(now() + DAY)));
  find("#at").addEventListener("change", () => find("#at").value && go(Date.parse(`${find("#at").value}Z`)));
  find("#ways").addEventListener("change", () => view.moment && go(now()));
  return { show: (moment) => { view.moment = moment; show(moment); } };
}

function onToggle(view) {
  const opening = find("#past").hidden;
  open(opening || view.moment !== null);
  if (opening) find("#at").focus();
}

function open(shown) {
  find("#past").hidden = !shown;
  find("#look-back").setAttribute("aria-expanded", String(shown));
}

function show(moment) {
  const [way, at] = Object.entries(moment ?? {})[0] ?? [];
  document.documentElement.toggleAttribute("data-past", Boolean(moment));
  if (moment) open(true);
  find("#past-text").textContent = moment ? text(`past${way[0].toUpperCase()}${way.slice(1)}`, format.instant(at)) : "";
  find("#at").max = new Date().toISOString().slice(0, 16);
  find("#at").value = (at ?? new Date().toISOString()).slice(0, 16);
  if (way) find(`#ways [value=${way}]`).checked = true;
  find("#back").hidden = !moment;
}
