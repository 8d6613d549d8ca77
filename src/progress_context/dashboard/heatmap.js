// The streak calendar: one square per day of a year, a column per week, Monday on top.

import { weekday } from "./days.js";
import { html, svg, tableTwin } from "./element.js";
import { explorable } from "./explore.js";
import * as format from "./format.js";
import { text } from "./texts.js";

const STEP = 14;
const SIZE = 11;
const LEFT = 32;
const TOP = 20;
const LEVELS = 4;

/**
 * How dark a day is: 0 for none, 1 … 4 in equal parts of `top`; an active day is never 0.
 */
export function shadeOf(day, value, top) {
  if (!day.active) return 0;
  return Math.max(1, Math.min(LEVELS, Math.ceil((value / (top || 1)) * LEVELS)));
}

/** The 95th percentile of the active days' values, so one marathon does not pale the year. */
export function topOf(values) {
  const sorted = values.filter((value) => value > 0).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * 0.95)] ?? 0;
}

/** Draws into `host`; `show(days, shadedBy)` redraws, keeping the pointed day. */
export function heatmap(host) {
  const surface = html("div", {
    class: "scroller explore", "data-surface": true, tabindex: 0, role: "application",
    "aria-label": text("calendarHelp"),
  });
  let days = [];
  const twin = activeDaysTable(() => days);
  host.replaceChildren(surface, html("div", { class: "chart-foot" }, twin.node, legend()));
  const keys = { ArrowLeft: -7, ArrowRight: 7, ArrowUp: -1, ArrowDown: 1 };
  const pointer = explorable(host, { keys, count: () => days.length, describe: (index) => describe(days[index]) });
  let drawn = false;
  return {
    show(calendar, shadedBy) {
      days = calendar;
      surface.replaceChildren(draw(days, shadedBy));
      twin.refill();
      if (!drawn) surface.scrollLeft = surface.scrollWidth;
      drawn = true;
      pointer.restore();
    },
  };
}

function draw(days, shadedBy) {
  const top = topOf(days.map((day) => day[shadedBy]));
  const weeks = Math.ceil((days.length + weekday(days[0].date)) / 7);
  const [width, height] = [LEFT + weeks * STEP, TOP + 7 * STEP];
  const active = days.filter((day) => day.active).length;
  return svg("svg", {
    class: "heatmap", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": text("calendarSummary", format.number(active), format.number(days.length)),
  }, ...weekdayNames(days), ...monthNames(days), ...cells(days, shadedBy, top));
}

const columnOf = (days, index) => Math.floor((index + weekday(days[0].date)) / 7);

function cells(days, shadedBy, top) {
  return days.map((day, index) => svg("rect", {
    class: `cell shade-${shadeOf(day, day[shadedBy], top)}${index === days.length - 1 ? " now" : ""}`,
    x: LEFT + columnOf(days, index) * STEP, y: TOP + weekday(day.date) * STEP,
    width: SIZE, height: SIZE, rx: 2.5, "data-index": index, "data-date": day.date,
  }));
}

function weekdayNames(days) {
  const firstMonday = days.findIndex((day) => weekday(day.date) === 0);
  return [0, 2, 4].map((row) => svg("text", { x: 0, y: TOP + row * STEP + 9 },
    format.day(days[firstMonday + row].date, "weekday")));
}

function monthNames(days) {
  return days.flatMap((day, index) => {
    const starts = day.date.endsWith("-01") && index + 14 < days.length;
    const x = LEFT + columnOf(days, index) * STEP;
    return starts ? [svg("text", { x, y: 10 }, format.day(day.date, "month"))] : [];
  });
}

function describe(day) {
  const lines = [text("reviewCount", day.reviews), text("sessionCount", day.sessions)];
  if (day.activities) lines.push(text("activityCount", day.activities));
  lines.push(text("studied", format.duration(day.studySeconds)));
  return { title: format.day(day.date), lines: day.active ? lines : [text("notActive")] };
}

function activeDaysTable(daysNow) {
  const columns = [text("day"), text("reviews"), text("sessions"), text("activities"), text("studyTime")];
  const row = (day) => [format.day(day.date), format.number(day.reviews), format.number(day.sessions),
    format.number(day.activities), format.duration(day.studySeconds)];
  const rows = () => daysNow().filter((day) => day.active).reverse().map(row);
  return tableTwin(text("activeDaysTable"), columns, rows);
}

function legend() {
  const squares = Array.from({ length: LEVELS + 1 }, (_, level) => svg("rect", {
    class: `cell shade-${level}`, x: level * STEP, y: 0, width: SIZE, height: SIZE, rx: 2.5,
  }));
  const scale = svg("svg", { class: "scale", viewBox: `0 0 ${(LEVELS + 1) * STEP} ${SIZE}` }, ...squares);
  return html("p", { class: "legend", "aria-hidden": "true" }, text("less"), scale, text("more"));
}
