// HTML and SVG elements from plain values. Text is always text: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value != null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** An HTML element; null and false attributes are left out, true ones are empty. */
export const html = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);

/** An SVG element, the same way. */
export const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

/** A bar from 0 to `ratio` (0–1) of its width; decoration, the figure stands beside it. */
export function meter(node, ratio, kind = "") {
  const width = Math.max(0, Math.min(1, ratio ?? 0)) * 100;
  node.replaceChildren(
    svg("rect", { class: "meter-track", width: 100, height: 4 }),
    svg("rect", { class: `meter-value ${kind}`, width, height: 4 }),
  );
  return node;
}

/** Give `node` these children, unless it has equal ones: so focus and selection survive a refresh. */
export function update(node, ...children) {
  const fresh = node.cloneNode(false);
  fresh.append(...children);
  if (!fresh.isEqualNode(node)) node.replaceChildren(...fresh.childNodes);
}

/**
 * A data table as the readable twin of a chart: closed at first, filled while it is open.
 *
 * `rows()` gives its rows; call `refill` when they may have changed.
 */
export function tableTwin(summary, columns, rows) {
  const region = html("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": summary });
  const node = html("details", { class: "twin" }, html("summary", {}, summary), region);
  const refill = () => node.open && update(region, table(columns, rows()));
  node.addEventListener("toggle", refill);
  return { node, refill };
}

function table(columns, rows) {
  const head = html("tr", {}, ...columns.map((column) => html("th", { scope: "col" }, column)));
  const line = ([first, ...rest]) =>
    html("tr", {}, html("th", { scope: "row" }, first), ...rest.map((cell) => html("td", {}, cell)));
  return html("table", {}, html("thead", {}, head), html("tbody", {}, ...rows.map(line)));
}
