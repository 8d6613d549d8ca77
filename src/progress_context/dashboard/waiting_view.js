// What waits for somebody: parked learners and dead letters, each with the command that mends it.

import { html, update } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";

const TOLD = 2_000;

const find = (selector) => document.querySelector(selector);
const cells = (...values) => values.map((value) => html("td", {}, value));

/** Parked learners. */
export function showParked({ parked, parkedCount }, now) {
  fill("parked", parked, parkedCount, text("noParked"), (one) => html("tr", { "data-position": one.position },
    html("th", { scope: "row" }, format.number(one.position)),
    ...cells(one.userId ?? "–", one.type),
    html("td", { class: "reason" }, one.reason),
    ...cells(format.number(one.attempts), format.distance(one.parkedAt, now)),
    html("td", {}, command(one.userId == null ? "progress-context rebuild --all"
      : `progress-context parked retry ${one.position}`))));
}

/** Dead letters. */
export function showLetters({ deadLetters, deadLetterCount }, now) {
  fill("letters", deadLetters, deadLetterCount, text("noLetters"), (one) => html("tr", { "data-letter": one.letter },
    html("th", { scope: "row" }, String(one.letter)),
    ...cells(one.subscription.split("/").at(-1)),
    html("td", { class: "reason" }, html("code", {}, one.code), one.path ? ` ${one.path}` : ""),
    ...cells(format.number(one.attempts), format.number(one.size), format.distance(one.lastSeenAt, now)),
    html("td", {}, command(`progress-context dead-letters show ${one.letter}`),
      command(`progress-context dead-letters retry ${one.letter}`))));
}

function fill(name, rows, count, none, row) {
  update(find(`#${name}`), ...rows.map(row));
  find(`#${name}`).closest(".scroller").hidden = !rows.length;
  update(find(`#${name}-none`), rows.length ? "" : none);
  const some = rows.length < count;
  update(find(`#${name}-shown`), some ? text("shownOf", format.number(rows.length), format.number(count)) : "");
}

const command = (words) => html("span", { class: "command" }, html("code", {}, words),
  html("button", { type: "button", class: "copy", "data-copy": words, "aria-label": text("copyOf", words) }, text("copy")));

document.addEventListener("click", async ({ target }) => {
  const words = target.closest?.("[data-copy]")?.dataset.copy;
  if (!words) return;
  if (await copied(words, target)) {
    target.textContent = text("copied");
    setTimeout(() => { target.textContent = text("copy"); }, TOLD);
  }
});

/** Whether it is in the clipboard; where a page may not write there, the command is selected to be copied by hand. */
async function copied(words, button) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    return false;
  }
}
