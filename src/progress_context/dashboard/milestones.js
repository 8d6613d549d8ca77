// Milestones: what comes next, nearest first, and what was achieved, latest first.

import { html, meter, svg, update } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";

const NEXT_SHOWN = 4;
const ICONS = {
  FIRST_SESSION: "M6 4l10 6-10 6z",
  CONSECUTIVE_DAYS: "M10.5 1.5c1 4-5 6-5 11a5 5 0 0 0 10 0c0-3-2-4-2.5-6.5-1 1-1.5 2-1.5 3.5-1-2-2-4-1-8z",
  ITEMS_MASTERED: "M4 10.5l4 4 8-9",
  LEVEL_COMPLETE: "M3 8l7-4 7 4-7 4zM6 10v4c2 2 6 2 8 0v-4",
  PERFECT_WEEK: "M10 2.5l2.3 4.9 5.200.7-3.8 3.7.9 5.3-4.600-2.5-4.600 2.5.9-5.3L2.5 8.1l5.200-.7z",
  STUDY_HOURS: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6v4.5l3 2",
};

const find = (selector) => document.querySelector(selector);
const nameOf = ({ type, threshold, level }) => text(`milestone${type}`, threshold, level);

/** Fill the card from `milestones`. */
export function showMilestones(all) {
  const open = all.filter(({ status }) => status !== "ACHIEVED").sort((a, b) => nearness(b) - nearness(a));
  const achieved = all.filter(({ status }) => status === "ACHIEVED")
    .sort((a, b) => (b.achievedOn > a.achievedOn ? 1 : -1));
  update(find("#milestones-next"), ...open.slice(0, NEXT_SHOWN).map(next));
  update(find("#milestones-achieved"), ...achieved.map(badge));
  update(find("#milestones-none"), achieved.length ? "" : text("noneAchieved"));
}

const nearness = ({ progress, target }) => progress / target;

const icon = (type) => svg("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true" },
  svg("path", { d: ICONS[type] }));

function next(milestone) {
  const bar = svg("svg", { class: "meter", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
  const progress = format.number(Math.floor(milestone.progress));
  return html("li", { "data-type": milestone.type },
    html("span", { class: "name" }, nameOf(milestone)),
    html("span", { class: "quiet" }, text("progressOf", progress, format.number(milestone.target))),
    meter(bar, nearness(milestone)));
}

const badge = (milestone) => html("li", { class: "badge", "data-type": milestone.type },
  icon(milestone.type),
  html("span", { class: "name" }, nameOf(milestone)),
  html("time", { class: "quiet", datetime: milestone.achievedOn }, format.day(milestone.achievedOn, "date")));
