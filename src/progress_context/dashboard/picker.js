// The learner picker: a search box with suggestions (the ARIA combobox pattern).

import { html } from "./element.js";
import * as format from "./format.js";
import { ask, ServiceError } from "./graphql.js";
import { LEARNERS } from "./queries.js";
import { text } from "./texts.js";

const PAUSE = 150;
const MOST = 8;

/** Wire the picker; `onPick(id)` is called with the chosen or typed learner id. */
export function picker(onPick) {
  const form = document.querySelector("#picker");
  const view = {
    input: form.querySelector("input"),
    list: form.querySelector("ul"),
    active: -1, timer: 0, asking: null, onPick,
  };
  view.input.placeholder = text("pickLearner");
  view.input.addEventListener("input", () => later(view, PAUSE));
  view.input.addEventListener("focus", () => { view.input.select(); later(view, 0); });
  view.input.addEventListener("blur", () => close(view));
  view.input.addEventListener("keydown", (event) => onKey(view, event));
  view.list.addEventListener("pointerdown", (event) => onPress(view, event));
  form.addEventListener("submit", (event) => { event.preventDefault(); choose(view); });
  return { show: (id) => { if (document.activeElement !== view.input) view.input.value = id ?? ""; } };
}

const optionsOf = (view) => [...view.list.querySelectorAll("[role=option]")];

function later(view, pause) {
  clearTimeout(view.timer);
  view.timer = setTimeout(() => suggest(view), pause);
}

async function suggest(view) {
  view.asking?.abort();
  const { signal } = (view.asking = new AbortController());
  const typed = view.input.value.trim();
  const learner = new URLSearchParams(location.search).get("learner");
  try {
    const search = typed === learner ? null : typed || null;
    const { data } = await ask(LEARNERS, { search, first: MOST }, signal);
    if (document.activeElement === view.input) open(view, data.learners);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ServiceError)) throw error;
    close(view);
  }
}

function open(view, learners) {
  const option = ({ userId, totalActiveDays, lastActiveDay }, index) =>
    html("li", { role: "option", id: `suggestion-${index}`, "aria-selected": "false", "data-id": userId },
      html("span", { class: "id" }, userId),
      html("span", { class: "quiet" }, lastActiveDay
        ? `${text("activeDayCount", totalActiveDays)} · ${format.day(lastActiveDay, "short")}`
        : text("neverActive")));
  const none = html("li", { class: "quiet", role: "presentation" }, text("noSuggestions"));
  view.list.replaceChildren(...(learners.length ? learners.map(option) : [none]));
  view.list.setAttribute("aria-label", text("learners"));
  view.list.hidden = false;
  view.input.setAttribute("aria-expanded", "true");
  activate(view, -1);
}

function close(view) {
  clearTimeout(view.timer);
  view.asking?.abort();
  view.list.hidden = true;
  view.input.setAttribute("aria-expanded", "false");
  activate(view, -1);
}

function activate(view, index) {
  view.active = index;
  optionsOf(view).forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
  const option = optionsOf(view)[index];
  option?.scrollIntoView({ block: "nearest" });
  if (option) view.input.setAttribute("aria-activedescendant", option.id);
  else view.input.removeAttribute("aria-activedescendant");
}

function onKey(view, event) {
  const count = optionsOf(view).length;
  if (event.key === "Escape") close(view);
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  if (view.list.hidden) suggest(view);
  else if (event.key === "ArrowDown") activate(view, Math.min(count - 1, view.active + 1));
  else activate(view, Math.max(-1, view.active - 1));
}

function onPress(view, event) {
  event.preventDefault(); // the box keeps the focus until the choice is made
  const option = event.target.closest("[role=option]");
  if (!option) return;
  view.active = optionsOf(view).indexOf(option);
  choose(view);
}

function choose(view) {
  const id = optionsOf(view)[view.active]?.dataset.id ?? view.input.value.trim();
  if (!id) return;
  view.input.value = id;
  close(view);
  view.onPick(id);
}
