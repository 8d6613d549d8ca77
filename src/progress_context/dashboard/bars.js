// Day by day: reviews (correct below, incorrect on top) and, under them, study time.

import { axis, countStep, grid, legend, minuteStep, scale, slotNames, tower } from "./axes.js";
import { chart } from "./chart.js";
import { html, svg } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";

const HEIGHT = 262;
const REVIEWS = { top: 12, height: 140 };
const STUDY = { top: 180, height: 52 };
const LEFT = 44;
const RIGHT = 4;
const KEYS = [["correct", "correct"], ["incorrect", "incorrect"], ["study", "studyTime"]];

/** Draws into `host`; `show(days)` redraws. */
export function bars(host) {
  const rule = html("p", { class: "quiet rule" });
  const days = chart(host, {
    help: text("daysHelp"), draw, describe, table: TABLE,
    foot: [legend(KEYS.map(([kind, name]) => [kind, text(name)])), rule],
  });
  return {
    show(list) {
      rule.textContent = ruleOf(list[0].studyTime);
      days.show(list);
    },
  };
}

function draw(days, width) {
  const slot = (width - LEFT - RIGHT) / days.length;
  const most = (figure) => Math.max(...days.map(figure));
  const reviews = scale(REVIEWS, axis(most((day) => day.reviews), 4, countStep));
  const minutes = scale(STUDY, axis(most((day) => day.studyTime.seconds / 60), 2, minuteStep));
  const total = days.reduce((sum, day) => sum + day.reviews, 0);
  return svg("svg", {
    class: "bars", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img",
    "aria-label": text("daysSummary", format.number(total), format.number(days.length)),
  },
  ...grid(reviews, LEFT, width - RIGHT, format.number),
  ...grid(minutes, LEFT, width - RIGHT, (value) => format.duration(value * 60)),
  ...days.map((day, index) => column(day, index, slot, reviews, minutes)),
  ...slotNames(days.length, slot, LEFT, HEIGHT - 10, (index) => format.day(days[index].date, "short")));
}

function column(day, index, slot, reviews, minutes) {
  const width = Math.max(1.5, Math.min(28, slot * 0.68));
  const x = LEFT + index * slot + (slot - width) / 2;
  const right = reviews.length(day.correct);
  const wrong = reviews.length(day.incorrect);
  return svg("g", { class: "column", "data-index": index, "data-date": day.date },
    svg("rect", { class: "band", x: LEFT + index * slot, y: 0, width: slot, height: STUDY.top + STUDY.height, rx: 3 }),
    ...tower("correct", x, reviews.bottom, width, right),
    ...tower("incorrect", x, reviews.bottom - right - (right && wrong ? 1 : 0), width, wrong),
    ...tower("study", x, minutes.bottom, width, minutes.length(day.studyTime.seconds / 60)));
}

function describe(day) {
  if (!day.active && !day.sessions) return { title: format.day(day.date), lines: [text("notActive")] };
  const lines = [text("judged", day.correct, day.incorrect, format.percent(day.accuracy)),
    text("studied", format.duration(day.studyTime.seconds)), text("sessionCount", day.sessions)];
  if (day.newItems) lines.push(text("newCount", day.newItems));
  if (day.itemsMastered) lines.push(text("masteredCount", day.itemsMastered));
  return { title: format.day(day.date), lines };
}

const TABLE = {
  summary: text("daysTable"),
  columns: ["day", "correct", "incorrect", "accuracy", "studyTime", "sessions", "newItems", "itemsMastered"]
    .map((name) => text(name)),
  row: (day) => [format.day(day.date), format.number(day.correct), format.number(day.incorrect),
    format.percent(day.accuracy), format.duration(day.studyTime.seconds), format.number(day.sessions),
    format.number(day.newItems), format.number(day.itemsMastered)],
};

const ruleOf = ({ sessionCapSeconds, idleGapSeconds }) =>
  text("studyTimeRule", format.duration(sessionCapSeconds), format.duration(idleGapSeconds));
