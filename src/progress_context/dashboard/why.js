// "Why is my streak 12?": the days of the run, and the day before it, each with what it meant.

import { addDays, daysBetween } from "./days.js";
import { html, update } from "./element.js";
import * as format from "./format.js";
import { ask } from "./graphql.js";
import { WHY } from "./queries.js";
import { text, translated } from "./texts.js";

const MOST_DAYS = 60;

const find = (selector) => document.querySelector(selector);

/** Wire the disclosure; `show(learningStreak)` names it anew, `fill(ask)` tells the days while it is open. */
export function whyView(onOpen) {
  const view = { streak: null };
  find("#why").addEventListener("toggle", () => find("#why").open && onOpen());
  return {
    show(streak) {
      view.streak = streak;
      find("#why").hidden = !streak.alive;
      update(find("#why summary"), text("why", streak.current));
    },
    async refill(userId, asOf, signal) {
      if (!find("#why").open || find("#why").hidden) return;
      const { data } = await ask(WHY, { userId, asOf, days: daysOf(view.streak) }, signal);
      tell(data.learningStreak, view.streak);
    },
  };
}

/** From the day before the latest run, so that it can be seen why it begins there, to today. */
function daysOf({ runs, today }) {
  const before = addDays(runs[0].from, -1);
  return { from: daysBetween(before, today) < MOST_DAYS ? before : addDays(today, 1 - MOST_DAYS), to: today };
}

function tell({ current, explanation }, { runs, today }) {
  update(find("#why-lead"), text("whyLead", current));
  const earlier = daysBetween(runs[0].from, today) + 2 - explanation.length;
  const more = earlier > 0 ? [html("li", { class: "quiet" }, text("whyMore", earlier))] : [];
  update(find("#why-days"), ...explanation.toReversed().map(line), ...more);
}

const line = (day) => html("li", { class: day.status.toLowerCase(), "data-date": day.date },
  html("time", { datetime: day.date }, format.day(day.date, "dayName")),
  html("span", {}, translated(day.text)));
