// How far the learner is through the catalogue: by skill, and by CEFR level.

import { legend } from "./axes.js";
import { html, svg, update } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";

const PARTS = [["part-mastered", "mastered"], ["part-begun", "inProgress"], ["part-rest", "notStarted"]];

/** What the parts of the bars mean. */
export const partsLegend = () => legend(PARTS.map(([kind, name]) => [kind, text(name)]));

/** Fill a list with the skills of `categoryProgress`. */
export function showSkills(host, { categories }) {
  update(host, ...categories.map((skill) => row(skill, text(`skill${skill.name}`), [
    text("accurate", format.percent(skill.accuracy)),
    format.duration(skill.timeSpentSeconds),
  ])));
}

/** Fill a list with the levels, and `overall` with the share of the whole catalogue. */
export function showLevels(host, overall, { categories, overallCompletion }) {
  update(host, ...categories.map((level) => row(level, level.name, [completion(level)])));
  update(overall, text("overall", format.share(overallCompletion)));
}

function completion({ estimatedCompletion, mastered, totalItems }) {
  if (totalItems && mastered === totalItems) return text("done");
  return estimatedCompletion ? text("doneBy", format.day(estimatedCompletion, "monthYear")) : text("noPace");
}

function row(category, name, facts) {
  const { mastered, inProgress, notStarted, totalItems } = category;
  const told = totalItems ? [text("shareOfItems", format.number(mastered), format.number(totalItems)), ...facts]
    : [text("noItemsThere")];
  return html("li", { "data-category": category.name },
    html("span", { class: "category" }, name),
    html("span", { class: "share" }, format.share(category.progress)),
    stacked([["mastered", mastered], ["begun", inProgress], ["rest", notStarted]], totalItems),
    html("span", { class: "quiet" }, told.join(" · ")));
}

/** A bar of parts side by side; decoration, the figures stand beside it. */
function stacked(parts, whole) {
  let x = 0;
  const rects = parts.map(([kind, count]) => {
    const width = whole ? (count / whole) * 100 : 0;
    const rect = svg("rect", { class: `part-${kind}`, x, width, height: 4 });
    x += width;
    return rect;
  });
  const track = svg("rect", { class: "part-rest", width: 100, height: 4 });
  return svg("svg", { class: "meter stacked", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
    track, ...rects);
}
