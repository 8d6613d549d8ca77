// Day by day: reviews (correct below, incorrect on top) and, under them, study time.

import { html, svg, tableTwin } from "./element.js";
import { explorable } from "./explore.js";
import * as format from "./format.js";
import { text } from "./texts.js";

const HEIGHT = 262;
const REVIEWS = { top: 12, height: 140 };
const STUDY = { top: 180, height: 52 };
const LEFT = 44;
const RIGHT = 4;

/** Axis values from 0 to at least `top`: whole steps, at most `parts` of them. */
function axis(top, parts, stepFrom) {
  const highest = Math.max(top, 1);
  const step = stepFrom(highest / parts);
  return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, index) => index * step);
}

/** The next of 1, 2, 5, 10, 20, 50 … */
function countStep(rough) {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(rough)));
  return [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
}

/** The next span of minutes that a clock would show. */
const minuteStep = (rough) => [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360].find((step) => step >= rough) ?? 720;

/** Draws into `host` at its real width; `show(days)` redraws, keeping the pointed day. */
export function bars(host) {
  const surface = html("div", {
    class: "explore", "data-surface": true, tabindex: 0, role: "application", "aria-label": text("daysHelp"),
  });
  let days = [];
  const twin = daysTable(() => days);
  const rule = html("p", { class: "quiet rule" });
  host.replaceChildren(surface, html("div", { class: "chart-foot" }, twin.node, legend(), rule));
  const keys = { ArrowLeft: -1, ArrowRight: 1 };
  const pointer = explorable(host, { keys, count: () => days.length, describe: (index) => describe(days[index]) });
  const redraw = () => {
    if (!days.length || !surface.clientWidth) return;
    surface.replaceChildren(draw(days, surface.clientWidth));
    pointer.restore();
  };
  new ResizeObserver(redraw).observe(surface);
  return {
    show(list) {
      days = list;
      twin.refill();
      rule.textContent = ruleOf(days[0].studyTime);
      redraw();
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
  ...grid(reviews, width, format.number), ...grid(minutes, width, (value) => format.duration(value * 60)),
  ...days.map((day, index) => column(day, index, slot, reviews, minutes)),
  ...dayNames(days, slot));
}

function scale({ top, height }, values) {
  const bottom = top + height;
  return { values, top, bottom, length: (value) => (value / values.at(-1)) * height };
}

function grid({ values, bottom, length }, width, label) {
  return values.flatMap((value) => {
    const y = Math.round(bottom - length(value)) + 0.5;
    return [
      svg("line", { class: value ? "rule" : "rule base", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
      svg("text", { class: "end", x: LEFT - 8, y: y + 3.5 }, value ? label(value) : "0"),
    ];
  });
}

function column(day, index, slot, reviews, minutes) {
  const width = Math.max(1.5, Math.min(28, slot * 0.68));
  const x = LEFT + index * slot + (slot - width) / 2;
  const right = reviews.length(day.correct);
  const wrong = reviews.length(day.incorrect);
  const bar = (kind, bottom, height) =>
    height > 0 ? [svg("path", { class: kind, d: tower(x, bottom, width, height) })] : [];
  return svg("g", { class: "column", "data-index": index, "data-date": day.date },
    svg("rect", { class: "band", x: LEFT + index * slot, y: 0, width: slot, height: STUDY.top + STUDY.height, rx: 3 }),
    ...bar("correct", reviews.bottom, right),
    ...bar("incorrect", reviews.bottom - right - (right && wrong ? 1 : 0), wrong),
    ...bar("study", minutes.bottom, minutes.length(day.studyTime.seconds / 60)));
}

/** A bar with a rounded head and a flat foot. */
function tower(x, bottom, width, height) {
  const round = Math.min(3, width / 2, height);
  return `M${x} ${bottom}v${round - height}q0 ${-round} ${round} ${-round}h${width - 2 * round}`
    + `q${round} 0 ${round} ${round}v${height - round}z`;
}

function dayNames(days, slot) {
  const every = Math.max(1, Math.ceil(64 / slot));
  return days.flatMap((day, index) => {
    const shown = (days.length - 1 - index) % every === 0 && (index + 0.5) * slot > 12;
    const last = index === days.length - 1 && slot < 48;
    const x = LEFT + (index + (last ? 1 : 0.5)) * slot;
    const name = () => svg("text", { class: last ? "end" : "middle", x, y: HEIGHT - 10 }, format.day(day.date, "short"));
    return shown ? [name()] : [];
  });
}

function describe(day) {
  if (!day.active && !day.sessions) return { title: format.day(day.date), lines: [text("notActive")] };
  const lines = [text("judged", day.correct, day.incorrect, format.percent(day.accuracy)),
    text("studied", format.duration(day.studyTime.seconds)), text("sessionCount", day.sessions)];
  if (day.newItems) lines.push(text("newCount", day.newItems));
  if (day.itemsMastered) lines.push(text("masteredCount", day.itemsMastered));
  return { title: format.day(day.date), lines };
}

function daysTable(daysNow) {
  const columns = ["day", "correct", "incorrect", "accuracy", "studyTime", "sessions", "newItems", "itemsMastered"];
  const row = (day) => [format.day(day.date), format.number(day.correct), format.number(day.incorrect),
    format.percent(day.accuracy), format.duration(day.studyTime.seconds), format.number(day.sessions),
    format.number(day.newItems), format.number(day.itemsMastered)];
  const rows = () => daysNow().toReversed().map(row);
  return tableTwin(text("daysTable"), columns.map((name) => text(name)), rows);
}

function legend() {
  const key = (kind, name) => html("span", {}, swatch(kind), text(name));
  const keys = [key("correct", "correct"), key("incorrect", "incorrect"), key("study", "studyTime")];
  return html("p", { class: "legend" }, ...keys);
}

const swatch = (kind) => svg("svg", { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" },
  svg("rect", { class: kind, width: 10, height: 10, rx: 3 }));

const ruleOf = ({ sessionCapSeconds, idleGapSeconds }) =>
  text("studyTimeRule", format.duration(sessionCapSeconds), format.duration(idleGapSeconds));
