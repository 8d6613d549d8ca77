// Week by week: reviews a day, with the trend against the week before, and what the weeks say together.

import { axis, countStep, grid, scale, slotNames, tower } from "./axes.js";
import { chart } from "./chart.js";
import { html, svg, update } from "./element.js";
import * as format from "./format.js";
import { text, translated } from "./texts.js";

const HEIGHT = 214;
const AREA = { top: 26, height: 150 };
const LEFT = 44;
const RIGHT = 4;
const ARROWS = { UP: "↑", STABLE: "→", DOWN: "↓" };

const find = (selector) => document.querySelector(selector);

/** A trend as an arrow with its words for who does not see it. */
export const trendMark = (trend) =>
  html("span", { class: `trend ${trend.toLowerCase()}` },
    html("span", { "aria-hidden": "true" }, ARROWS[trend]), html("span", { class: "unseen" }, text(`trend${trend}`)));

/** Draws into `host`; `show(weeklyTrend)` redraws it and what stands beside it. */
export function weeksView(host) {
  const weeks = chart(host, { help: text("weeksHelp"), draw, describe, table: TABLE });
  return {
    show(trend) {
      weeks.show(trend.weeks);
      update(find("#week-trend"), trendMark(trend.trend), html("span", {}, text(`trend${trend.trend}`)));
      update(find("#week-consistency"), format.share(trend.consistency));
      update(find("#advice"), ...trend.recommendations.map(({ code, text: words }) =>
        html("li", { "data-code": code }, translated(words))));
    },
  };
}

function draw(weeks, width) {
  const slot = (width - LEFT - RIGHT) / weeks.length;
  const perDay = scale(AREA, axis(Math.max(...weeks.map((week) => week.reviewsPerDay)), 4, countStep));
  return svg("svg", {
    class: "bars", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img",
    "aria-label": text("weeksSummary", format.number(weeks.length)),
  },
  ...grid(perDay, LEFT, width - RIGHT, format.number),
  ...weeks.map((week, index) => column(week, index, slot, perDay)),
  ...slotNames(weeks.length, slot, LEFT, HEIGHT - 10, (index) => format.day(weeks[index].week, "short")));
}

function column(week, index, slot, perDay) {
  const width = Math.max(2, Math.min(30, slot * 0.62));
  const middle = LEFT + (index + 0.5) * slot;
  const height = perDay.length(week.reviewsPerDay);
  const running = week.daysElapsed < 7 ? " running" : "";
  const arrow = svg("text", {
    class: `middle trend ${week.trend.toLowerCase()}`, x: middle, y: perDay.bottom - height - 6, "aria-hidden": "true",
  }, ARROWS[week.trend]);
  return svg("g", { class: "column", "data-index": index, "data-week": week.week },
    svg("rect", { class: "band", x: LEFT + index * slot, y: 0, width: slot, height: perDay.bottom, rx: 3 }),
    ...tower(`correct${running}`, middle - width / 2, perDay.bottom, width, height),
    ...(index && slot > 14 ? [arrow] : []));
}

function describe(week) {
  const running = week.daysElapsed < 7 ? ` · ${text("runningWeek")}` : "";
  return {
    title: `${text("weekOf", format.day(week.week, "short"))}${running}`,
    lines: [`${text("perDayCount", format.decimal(week.reviewsPerDay))} ${ARROWS[week.trend]} ${text(`trend${week.trend}`)}`,
      text("activeOf", week.activeDays, week.daysElapsed), text("studied", format.duration(week.studySeconds)),
      text("accurate", format.percent(week.accuracy))],
  };
}

const TABLE = {
  summary: text("weeksTable"),
  columns: ["week", "perDay", "trend", "reviews", "accuracy", "studyTime", "activeDays", "itemsMastered"]
    .map((name) => text(name)),
  row: (week) => [format.day(week.week), format.decimal(week.reviewsPerDay), text(`trend${week.trend}`),
    format.number(week.reviews), format.percent(week.accuracy), format.duration(week.studySeconds),
    format.number(week.activeDays), format.number(week.itemsMastered)],
};
