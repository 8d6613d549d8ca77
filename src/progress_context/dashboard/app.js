// The page: who is shown, and the one `refresh()` that brings it up to date.

import { bars } from "./bars.js";
import { lastDays, yearUntil } from "./days.js";
import { showStreak, showToday, showTotals } from "./figures.js";
import * as format from "./format.js";
import { frame } from "./frame.js";
import { ask, ServiceError } from "./graphql.js";
import { heatmap } from "./heatmap.js";
import { itemsView } from "./items.js";
import { picker } from "./picker.js";
import { LEARNERS, PAGE, TODAY } from "./queries.js";
import { showFailure, showIdle, showPage, showWaiting, showWelcome } from "./states.js";
import { fillTexts, text } from "./texts.js";

const EVERY = 10_000;
const WELCOMED = 12;

const find = (selector) => document.querySelector(selector);
const learnerOfUrl = () => new URLSearchParams(location.search).get("learner");
const chosen = (name) => find(`input[name="${name}"]:checked`).value;

const view = { learner: null, today: null, answer: null, timer: 0, asking: new AbortController() };

fillTexts();
const calendar = heatmap(find("#calendar"));
const days = bars(find("#days"));
const items = itemsView(refresh);
const search = picker(pick);
const around = frame();

/** Ask for everything the page shows, and show it; the last call wins. */
export async function refresh() {
  clearTimeout(view.timer);
  view.asking.abort();
  const asking = (view.asking = new AbortController());
  try {
    const answer = view.learner ? await askPage(asking.signal) : await askWelcome(asking.signal);
    if (!asking.signal.aborted) show(answer);
  } catch (error) {
    if (asking.signal.aborted) return;
    if (!(error instanceof ServiceError)) throw error;
    showFailure(error, view.learner, view.answer !== null);
  } finally {
    if (view.asking === asking) view.timer = setTimeout(refreshIfSeen, EVERY);
  }
}

const refreshIfSeen = () => (document.visibilityState === "visible" ? refresh() : undefined);

const askWelcome = (signal) => ask(LEARNERS, { search: null, first: WELCOMED }, signal);

/** The learner's page for the learner's own today; asked again when midnight fell in between. */
async function askPage(signal) {
  const userId = view.learner;
  view.today ??= (await ask(TODAY, { userId }, signal)).data.userSummary.today;
  for (;;) {
    const today = view.today;
    const variables = { userId, year: yearUntil(today), days: lastDays(today, Number(chosen("span"))) };
    const answer = await ask(PAGE, { ...variables, ...items.variables() }, signal);
    if (answer.data.userSummary.today === today) return answer;
    view.today = answer.data.userSummary.today;
  }
}

function show(answer) {
  if (!view.learner) return showWelcome(answer.data.learners, pick);
  const unchanged = view.answer && JSON.stringify(view.answer.data) === JSON.stringify(answer.data);
  view.answer = answer;
  const { userSummary: summary } = answer.data;
  if (!summary.firstActiveDay && !summary.itemsSeen) return showIdle(view.learner);
  showPage();
  showFreshness(answer);
  if (!unchanged) showData(answer.data);
  items.show(answer.data.itemProgress, answer.now);
}

function showData({ userSummary, learningStreak, dailyStats }) {
  showStreak(learningStreak);
  showToday(dailyStats.at(-1), dailyStats.at(-2));
  showTotals(userSummary);
  showCalendar();
  days.show(dailyStats);
}

const showCalendar = () => calendar.show(view.answer.data.learningStreak.calendar, chosen("shade"));

function showFreshness({ position, data }) {
  find("#today").textContent = format.day(data.userSummary.today, "full");
  find("#today").dateTime = data.userSummary.today;
  find("#fresh").textContent = position == null ? text("live") : text("upToDate", format.number(position));
}

function pick(learner) {
  const url = new URL(location.href);
  url.searchParams.set("learner", learner);
  history.pushState(null, "", url);
  enter();
  find("#main").focus({ preventScroll: true });
}

/** Begin with the learner of the address, or with none. */
function enter() {
  Object.assign(view, { learner: learnerOfUrl(), today: null, answer: null });
  items.restart();
  search.show(view.learner);
  around.show(view.learner);
  showWaiting(view.learner);
  refresh();
}

find("#shade").addEventListener("change", () => view.answer && showCalendar());
find("#span").addEventListener("change", refresh);
for (const button of document.querySelectorAll("[data-action=retry]")) button.addEventListener("click", refresh);
document.addEventListener("visibilitychange", refreshIfSeen);
addEventListener("popstate", enter);
enter();
