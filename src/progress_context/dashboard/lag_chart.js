// Lag and rate over time: events behind above, appended events a second below.

import { axis, countStep, grid, legend, scale, slotNames } from "./axes.js";
import { chart } from "./chart.js";
import { svg } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";

const HEIGHT = 250;
const LAG = { top: 12, height: 116 };
const RATE = { top: 158, height: 60 };
const LEFT = 56;
const RIGHT = 4;
const LEAST = 10; // looks that the width is made for, so that the first ones do not fill it

/** Draws into `host`; `show(looks)` redraws. */
export const lagChart = (host) => chart(host, {
  help: text("lagHelp"), draw, describe, table: TABLE,
  foot: [legend([["line-realtime", text("realtimeLag")], ["line-batch", text("batchLag")], ["line-rate", text("rate")]])],
});

function draw(looks, width) {
  const slot = (width - LEFT - RIGHT) / Math.max(looks.length, LEAST);
  const most = (figure) => Math.max(...looks.map((look) => look[figure] ?? 0));
  const lag = scale(LAG, axis(Math.max(most("realtime"), most("batch")), 3, countStep, 10));
  const rate = scale(RATE, axis(most("rate"), 2, countStep, 10));
  const x = (index) => LEFT + (index + 0.5) * slot;
  return svg("svg", {
    class: "bars", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img",
    "aria-label": text("lagSummary", format.number(looks.length)),
  },
  ...grid(lag, LEFT, width - RIGHT, format.compact), ...grid(rate, LEFT, width - RIGHT, (value) => text("perSecond", format.compact(value))),
  area("area-batch", looks.map((look) => look.batch), x, lag), line("line-batch", looks.map((look) => look.batch), x, lag),
  area("area-realtime", looks.map((look) => look.realtime), x, lag), line("line-realtime", looks.map((look) => look.realtime), x, lag),
  area("area-rate", looks.map((look) => look.rate ?? 0), x, rate), line("line-rate", looks.map((look) => look.rate ?? 0), x, rate),
  ...looks.map((look, index) => mark(look, index, slot, x(index), lag, rate)),
  ...slotNames(looks.length, slot, LEFT, HEIGHT - 8, (index) => format.clock(looks[index].at), 90));
}

const points = (values, x, { bottom, length }) => values.map((value, index) => `${x(index)} ${bottom - length(value)}`);

const line = (kind, values, x, on) => svg("path", { class: kind, d: `M${points(values, x, on).join("L")}` });

const area = (kind, values, x, on) => svg("path", {
  class: kind, d: `M${x(0)} ${on.bottom}L${points(values, x, on).join("L")}L${x(values.length - 1)} ${on.bottom}z`,
});

function mark(look, index, slot, x, lag, rate) {
  const dot = (kind, value, on) => svg("circle", { class: `dot-${kind}`, cx: x, cy: on.bottom - on.length(value), r: 3.5 });
  return svg("g", { class: "column look", "data-index": index },
    svg("rect", { class: "band", x: x - slot / 2, y: 0, width: slot, height: rate.bottom }),
    svg("line", { class: "pointer", x1: x, x2: x, y1: lag.top, y2: rate.bottom }),
    dot("batch", look.batch, lag), dot("realtime", look.realtime, lag), dot("rate", look.rate ?? 0, rate));
}

const describe = (look) => ({
  title: format.clock(look.at),
  lines: [`${text("realtimeLag")}: ${format.number(look.realtime)}`, `${text("batchLag")}: ${format.number(look.batch)}`,
    `${text("rate")}: ${format.decimal(look.rate)}`],
});

const TABLE = {
  summary: text("lagTable"),
  columns: [text("time"), text("headPosition"), text("realtimeLag"), text("batchLag"), text("rate")],
  row: (look) => [format.clock(look.at), format.number(look.head), format.number(look.realtime),
    format.number(look.batch), format.decimal(look.rate)],
};
