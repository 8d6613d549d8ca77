// What our charts have in common: axes with whole steps, grid lines, bars with rounded heads.

import { html, svg } from "./element.js";

/** Axis values from 0 to at least `top`: whole steps, at most `parts` of them. */
export function axis(top, parts, stepFrom, least = 1) {
  const highest = Math.max(top, least);
  const step = stepFrom(highest / parts);
  return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, index) => index * step);
}

/** The next of 1, 2, 5, 10, 20, 50 … */
export function countStep(rough) {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(rough)));
  return [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
}

/** The next span of minutes that a clock would show. */
export const minuteStep = (rough) => [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360].find((step) => step >= rough) ?? 720;

/** A scale upwards from `top + height`: `length(value)` in pixels. */
export function scale({ top, height }, values) {
  const bottom = top + height;
  return { values, top, bottom, length: (value) => (value / values.at(-1)) * height };
}

/** Grid lines with their labels, from `left` to `right`. */
export function grid({ values, bottom, length }, left, right, label) {
  return values.flatMap((value) => {
    const y = Math.round(bottom - length(value)) + 0.5;
    return [
      svg("line", { class: value ? "rule" : "rule base", x1: left, x2: right, y1: y, y2: y }),
      svg("text", { class: "end", x: left - 8, y: y + 3.5 }, value ? label(value) : "0"),
    ];
  });
}

/** A bar with a rounded head and a flat foot; nothing for no height. */
export function tower(kind, x, bottom, width, height) {
  if (!(height > 0)) return [];
  const round = Math.min(3, width / 2, height);
  const d = `M${x} ${bottom}v${round - height}q0 ${-round} ${round} ${-round}h${width - 2 * round}`
    + `q${round} 0 ${round} ${round}v${height - round}z`;
  return [svg("path", { class: kind, d })];
}

/** Labels under `count` slots from `left` on, as many as fit, the last one always. */
export function slotNames(count, slot, left, y, name, room = 64) {
  const every = Math.max(1, Math.ceil(room / slot));
  return Array.from({ length: count }, (_, index) => index).flatMap((index) => {
    const shown = (count - 1 - index) % every === 0 && (index + 0.5) * slot > 12;
    const last = index === count - 1 && slot < 48;
    const x = left + (index + (last ? 1 : 0.5)) * slot;
    return shown ? [svg("text", { class: last ? "end" : "middle", x, y }, name(index))] : [];
  });
}

/** A legend of [kind, name] pairs. */
export const legend = (pairs) => html("p", { class: "legend" },
  ...pairs.map(([kind, name]) => html("span", {}, swatch(kind), name)));

const swatch = (kind) => svg("svg", { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" },
  svg("rect", { class: kind, width: 10, height: 10, rx: 3 }));
