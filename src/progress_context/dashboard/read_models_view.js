// The read models: how far each is, how far behind, and how that went lately.

import { html, svg, update } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";

const WIDTH = 96;
const HEIGHT = 20;

const find = (selector) => document.querySelector(selector);

/** Fill the table; `looks` is the history, the latest last. */
export function showReadModels({ readModels, shards, problems }, looks, now) {
  const isIll = ({ name }) => problems.some(({ message }) => message.startsWith(`${name} lacks`));
  update(find("#read-models"), ...readModels.map((model) => row(model, looks, now, isIll(model))));
  const lines = shards.map(({ shard, position, lagEvents }) =>
    html("li", {}, text("shardLine", format.number(shard), format.number(position), format.number(lagEvents))));
  update(find("#shards"), ...(lines.length > 1 ? lines : []));
}

function row(model, looks, now, ill) {
  const number = (shown, kind = "number") => html("td", { class: kind }, shown);
  return html("tr", { "data-model": model.name },
    html("th", { scope: "row" }, model.name),
    html("td", {}, html("span", { class: "chip" }, model.update)),
    html("td", {}, html("code", {}, model.version)),
    number(format.number(model.position)),
    number(format.number(model.lagEvents), ill ? "number behind" : "number"),
    number(model.lagSeconds ? format.duration(model.lagSeconds) : "0"),
    number(format.decimal(looks.at(-1).rates[model.name])),
    html("td", {}, sparkline(looks.map((look) => look.lags[model.name] ?? 0))),
    number(format.distance(model.movedAt, now)));
}

/** The shape of a series; decoration, its last value stands in the row. */
function sparkline(values) {
  const top = Math.max(1, ...values);
  const step = WIDTH / Math.max(1, values.length - 1);
  const points = values.map((value, index) => `${(index * step).toFixed(1)} ${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`);
  return svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, "aria-hidden": "true" },
    svg("path", { class: "line-realtime", d: `M${points.join("L")}` }));
}
