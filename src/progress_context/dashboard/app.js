// The learner's page: who is shown, at which moment, and the one `refresh()` that brings it up to date.

import { bars } from "./bars.js";
import { partsLegend, showLevels, showSkills } from "./categories.js";
import { lastDays, yearUntil } from "./days.js";
import { showStreak, showToday, showTotals } from "./figures.js";
import * as format from "./format.js";
import { frame } from "./frame.js";
import { ask, ServiceError } from "./graphql.js";
import { heatmap } from "./heatmap.js";
import { itemsView } from "./items.js";
import { follow } from "./live.js";
import { showMilestones } from "./milestones.js";
import { momentOfUrl, pastBar, withMoment } from "./past.js";
import { showPerformance } from "./performance.js";
import { picker } from "./picker.js";
import { ITEMS, LEARNERS, PAGE, PROGRESS, TODAY } from "./queries.js";
import { showFailure, showIdle, showPage, showWaiting, showWelcome } from "./states.js";
import { fillTexts, text } from "./texts.js";
import { weeksView } from "./weeks.js";
import { whyView } from "./why.js";

const EVERY = 10_000;
const EVERY_BESIDE_THE_STREAM = 60_000;
const PAUSE = 2_500; // however often something changes, between two refreshes
const WELCOMED = 12;

const find = (selector) => document.querySelector(selector);
const learnerOfUrl = () => new URLSearchParams(location.search).get("learner");
const chosen = (name) => find(`input[name="${name}"]:checked`).value;
const isSeen = () => document.visibilityState === "visible";

const view = {
  learner: null, moment: null, today: null, answer: null, shown: "", timer: 0,
  asking: new AbortController(), busy: false, again: false, changed: 0, refreshed: 0, stream: null, streaming: false,
};

fillTexts();
const calendar = heatmap(find("#calendar"));
const days = bars(find("#days"));
const weeks = weeksView(find("#weeks"));
const items = itemsView(refresh);
const why = whyView(refresh);
const search = picker((learner) => go(learner, null));
const past = pastBar((moment) => go(view.learner, moment));
const around = frame();
find("#parts").append(partsLegend());

/** Ask for everything the page shows, and show it; the last call wins. */
export async function refresh() {
  clearTimeout(view.timer);
  clearTimeout(view.changed);
  view.asking.abort();
  const asking = (view.asking = new AbortController());
  Object.assign(view, { busy: true, changed: 0, refreshed: Date.now() });
  try {
    const answer = view.learner ? await askPage(asking.signal) : await askWelcome(asking.signal);
    if (asking.signal.aborted) return;
    show(answer);
    if (view.learner) await why.refill(view.learner, view.moment, asking.signal);
    listen(answer);
  } catch (error) {
    if (asking.signal.aborted) return;
    if (!(error instanceof ServiceError)) throw error;
    showFailure(error, view.learner, view.answer !== null);
  } finally {
    if (view.asking === asking) next();
  }
}

/** What comes after a refresh: another one, soon when something changed meanwhile; the past stays as it is. */
function next() {
  clearTimeout(view.timer);
  view.busy = false;
  if (view.again) {
    view.again = false;
    onNews();
  } else if (!view.moment || !view.answer) {
    view.timer = setTimeout(() => isSeen() && refresh(), view.streaming ? EVERY_BESIDE_THE_STREAM : EVERY);
  }
}

const askWelcome = (signal) => ask(LEARNERS, { search: null, first: WELCOMED }, signal);

/** The learner's page for the learner's own today; asked again when midnight fell in between. */
async function askPage(signal) {
  const about = { userId: view.learner, asOf: view.moment };
  view.today ??= (await ask(TODAY, about, signal)).data.userSummary.today;
  for (;;) {
    const today = view.today;
    const period = { year: yearUntil(today), days: lastDays(today, Number(chosen("span"))) };
    const [page, progress, list] = await Promise.all([
      ask(PAGE, { ...about, ...period }, signal),
      ask(PROGRESS, { ...about, period: chosen("period") }, signal),
      ask(ITEMS, { ...about, ...items.variables() }, signal),
    ]);
    view.today = page.data.userSummary.today;
    if (view.today === today) return { ...page, data: { ...page.data, ...progress.data, ...list.data } };
  }
}

function show(answer) {
  if (!view.learner) return showWelcome(answer.data.learners, (learner) => go(learner, null));
  view.answer = answer;
  const { userSummary: summary, itemProgress, ...figures } = answer.data;
  showFreshness();
  if (!summary.firstActiveDay && !summary.itemsSeen) return showIdle(view.learner, view.moment);
  showPage();
  find("#today").textContent = format.day(summary.today, "full");
  find("#today").dateTime = summary.today;
  items.show(itemProgress, view.moment ? Date.parse(Object.values(view.moment)[0]) : answer.now);
  const drawn = JSON.stringify([summary, figures]);
  if (drawn !== view.shown) showData(answer.data);
  view.shown = drawn;
}

function showData(data) {
  showStreak(data.learningStreak);
  why.show(data.learningStreak);
  showToday(data.dailyStats.at(-1), data.dailyStats.at(-2));
  showTotals(data.userSummary);
  showCalendar();
  days.show(data.dailyStats);
  weeks.show(data.weeklyTrend);
  showSkills(find("#skills"), data.skills);
  showLevels(find("#levels"), find("#levels-overall"), data.levels);
  showPerformance(data.performanceMetrics);
  showMilestones(data.milestones);
}

const showCalendar = () => calendar.show(view.answer.data.learningStreak.calendar, chosen("shade"));

function showFreshness() {
  const position = view.answer?.position;
  const way = view.moment ? "notNow" : view.streaming ? "live" : "polled";
  const told = position == null || view.moment ? [text(way)] : [text(way), text("updatedAt", format.number(position))];
  find("#fresh").textContent = told.join(" · ");
  find(".fresh").dataset.way = way;
}

/** Follow the learner from what is shown on, unless that is done already, nobody looks, or the past is shown. */
function listen(answer) {
  if (view.stream || view.moment || !view.learner || !isSeen() || answer.position == null) return;
  view.stream = follow(view.learner, answer.position, {
    onChange: onNews,
    onState(open) {
      view.streaming = open;
      showFreshness();
      if (!view.busy) next();
    },
  });
}

/** Something changed: refresh, but neither during a refresh nor all the time. */
function onNews() {
  if (view.busy) view.again = true;
  else if (!view.changed) view.changed = setTimeout(refresh, Math.max(0, view.refreshed + PAUSE - Date.now()));
}

function unlisten() {
  view.stream?.stop();
  Object.assign(view, { stream: null, streaming: false, again: false });
}

/** Show somebody, at some moment, as a step that the browser can go back from. */
function go(learner, moment) {
  const other = learner !== view.learner;
  const url = withMoment(new URL(location.href), moment);
  url.searchParams.set("learner", learner);
  history.pushState(null, "", url);
  enter(other);
  if (other) find("#main").focus({ preventScroll: true });
}

/** Begin with what the address says; figures of the same learner stay until there are others. */
function enter(other = true) {
  unlisten();
  const kept = other ? null : view.answer;
  Object.assign(view, { learner: learnerOfUrl(), moment: momentOfUrl(), today: null, answer: kept });
  items.restart();
  search.show(view.learner);
  around.show(view.learner);
  past.show(view.moment);
  if (!kept) showWaiting(view.learner);
  refresh();
}

find("#shade").addEventListener("change", () => view.answer && showCalendar());
for (const name of ["#span", "#period"]) find(name).addEventListener("change", refresh);
document.addEventListener("retry", refresh);
document.addEventListener("visibilitychange", () => (isSeen() ? refresh() : unlisten()));
addEventListener("popstate", () => enter(learnerOfUrl() !== view.learner));
enter();
