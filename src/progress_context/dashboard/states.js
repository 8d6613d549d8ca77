// What the page shows instead of, or above, the figures: waiting, welcome, nothing yet, failure.

import { html, update } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";
import { keepToken } from "./token.js";

const find = (selector) => document.querySelector(selector);

function enter(state) {
  const main = find("#main");
  main.dataset.state = state;
  main.setAttribute("aria-busy", String(state === "loading"));
  find("#page").hidden = state !== "ready" && state !== "loading";
  find("#heading").hidden = state !== "ready" && state !== "loading";
  find("#message").hidden = state === "ready" || state === "loading";
  find("#banner").hidden = true;
}

const retry = () => document.dispatchEvent(new Event("retry"));
for (const button of document.querySelectorAll("[data-action=retry]")) button.addEventListener("click", retry);
find("#token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(find("#token").value.trim());
  retry();
});

function message(title, body, { retriable = false, token = false, learners = [] } = {}) {
  update(find("#message-title"), title);
  update(find("#message-body"), body);
  find("#message [data-action=retry]").hidden = !retriable;
  find("#token-form").hidden = !token;
  update(find("#learners"), ...learners);
}

/** Skeletons until the first answer about `learner` (or, without one, the list of learners). */
export function showWaiting(learner) {
  enter("loading");
  find("#name").textContent = learner ?? "";
  if (learner) return;
  find("#page").hidden = true;
  find("#heading").hidden = true;
}

export const showPage = () => enter("ready");

/** Nothing to show of this learner yet; `moment` is the past moment shown, if any. */
export function showIdle(learner, moment) {
  const when = moment ? "idlePast" : "idle";
  enter("idle");
  message(text(`${when}Title`, learner), text(`${when}Body`));
}

/** Nobody is chosen: offer some learners. */
export function showWelcome(learners, onPick) {
  enter("welcome");
  if (!learners.length) return message(text("noLearnersTitle"), text("noLearnersBody"));
  message(text("welcomeTitle"), text("welcomeBody"), { learners: learners.map((one) => invitation(one, onPick)) });
}

function invitation({ userId, totalActiveDays, lastActiveDay }, onPick) {
  const address = new URL(location.href);
  address.searchParams.set("learner", userId);
  const facts = lastActiveDay
    ? `${text("activeDayCount", totalActiveDays)} · ${format.day(lastActiveDay, "short")}`
    : text("neverActive");
  const words = [html("span", { class: "id" }, userId), html("span", { class: "quiet" }, facts)];
  const link = html("a", { href: address.href }, ...words);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    onPick(userId);
  });
  return html("li", {}, link);
}

/** A ServiceError: as a banner over figures that are already shown, else as the page's message. */
export function showFailure(error, learner, figuresShown) {
  const down = error.code === "SERVICE_DOWN";
  if (error.needsToken) {
    enter("closed");
    message(text("tokenTitle"), text("tokenBody"), { token: true });
  } else if (error.code === "LEARNER_UNKNOWN") {
    enter("unknown");
    message(text("unknownTitle", learner), text("unknownBody"));
  } else if (figuresShown) {
    find("#banner").hidden = false;
    update(find("#banner-text"), down ? text("staleDown") : text("staleRefused", error.message));
  } else {
    enter("failed");
    message(text(down ? "downTitle" : "refusedTitle"), down ? text("downBody") : error.message, { retriable: true });
  }
}
