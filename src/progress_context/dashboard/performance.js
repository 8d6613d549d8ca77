// Performance in a period beside the time before, and what stands out.

import { html, update } from "./element.js";
import * as format from "./format.js";
import { text, translated } from "./texts.js";
import { trendMark } from "./weeks.js";

const find = (selector) => document.querySelector(selector);

/** Fill the card from `performanceMetrics`. */
export function showPerformance(metrics) {
  update(find("#performance-figures"),
    figure("score", format.number(metrics.score == null ? null : Math.round(metrics.score)), ""),
    figure("accuracy", format.percent(metrics.accuracy), before(metrics), metrics.accuracyTrend),
    figure("retention", format.percent(metrics.retention), parts(metrics)),
    figure("onTime", format.percent(metrics.onTime), due(metrics)),
    figure("consistency", format.share(metrics.consistency), active(metrics)),
    figure("velocity", format.decimal(metrics.learningVelocity), ""));
  const insights = metrics.insights.map(({ code, text: words }) => html("li", { "data-code": code }, translated(words)));
  update(find("#insights"), ...(insights.length ? insights : [html("li", {}, text("noInsights"))]));
}

const figure = (name, shown, beside, trend = null) => html("div", { "data-metric": name },
  html("dt", {}, text(name)),
  html("dd", {}, shown, ...(trend ? [" ", trendMark(trend)] : [])),
  html("dd", { class: "quiet" }, beside || "\u00a0"));

const before = ({ previousAccuracy }) => text("before", format.percent(previousAccuracy));

const parts = ({ retentionYoung, retentionMature }) =>
  text("retentionParts", format.percent(retentionYoung), format.percent(retentionMature));

const due = ({ reviewsOnTime, reviewsDue }) => (reviewsDue
  ? text("onTimeOf", format.number(reviewsOnTime), format.number(reviewsDue)) : text("nothingDue"));

const active = ({ activeDays, days }) => (days == null ? "" : text("activeOf", activeDays, days));
