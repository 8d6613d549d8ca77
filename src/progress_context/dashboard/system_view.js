// The verdict, the figures at the top, who works on what, and rebuilds.

import { html, meter, svg, update } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";

const find = (selector) => document.querySelector(selector);

/** All is well, or what is wrong: each problem by its code and in the service's words. */
export function showVerdict({ healthy, problems }) {
  find("#verdict").dataset.healthy = String(healthy);
  update(find("#verdict-title"), healthy ? text("allWell") : text("problemCount", problems.length));
  update(find("#problems"), ...problems.map(({ code, message }) =>
    html("li", {}, html("code", {}, code), html("span", {}, message))));
}

/** The figures at the top. */
export function showTiles(system, now) {
  const { head, recordedAt, appendRate, readModels, workers, leases, parkedCount, deadLetterCount } = system;
  const held = leases.filter((lease) => lease.held).length;
  const lag = readModels.reduce((worst, model) => (model.lagSeconds > worst.lagSeconds ? model : worst),
    { lagSeconds: 0, lagEvents: 0 });
  update(find("#tiles"),
    tile("headPosition", format.number(head), recordedAt ? `${text("lastEvent")}: ${format.distance(recordedAt, now)}` : ""),
    tile("appended", format.decimal(appendRate), text("lastMinute")),
    tile("mostLag", lag.lagSeconds ? format.duration(lag.lagSeconds) : "0", text("eventsBehind", lag.lagEvents)),
    tile("workersAlive", format.number(workers), text("leasesHeld", held, leases.length), !workers),
    tile("parkedLearners", format.number(parkedCount), text(parkedCount ? "waits" : "noneWaits"), parkedCount > 0),
    tile("deadLetters", format.number(deadLetterCount), text(deadLetterCount ? "waits" : "noneWaits"), deadLetterCount > 0));
}

const tile = (name, shown, beside, wrong = false) => html("div", { class: wrong ? "wrong" : null, "data-tile": name },
  html("dt", {}, text(name)), html("dd", {}, shown), html("dd", { class: "quiet" }, beside));

/** Leases with their holders, relays, news, snapshots. */
export function showWork({ leases, relays, newsLagEvents, snapshots }, now) {
  const lines = [
    line("progress-query-service", [text("queryAnswers")], true),
    ...leases.map(({ name, holder, held }) => line(name, [held ? holder : text("heldByNobody")], held)),
    ...relays.map(({ topic, position, lagEvents, held }) => line(`${text("relay")} ${topic}`,
      [text("relayLine", format.number(position), format.number(lagEvents)), ...(held ? [] : [text("heldByNobody")])], held)),
    ...(newsLagEvents == null ? [] : [line(text("news"), [text("newsLine", format.number(newsLagEvents))], true)]),
    line(text("snapshots"), snapshotFacts(snapshots, now), !snapshots.damaged),
  ];
  update(find("#work"), ...lines);
}

const line = (name, facts, well) => html("li", { class: well ? "well" : "ill" },
  html("span", { class: "name" }, name), html("span", { class: "quiet" }, facts.join(" · ")));

function snapshotFacts({ count, damaged, position, takenAt }, now) {
  const facts = position == null ? [text("noSnapshots")]
    : [text("snapshotLine", format.number(count), format.number(position), format.distance(takenAt, now))];
  return damaged ? [...facts, text("damagedCount", format.number(damaged))] : facts;
}

/** Rebuilds under way with their progress. */
export function showBuilds({ builds }, now) {
  const none = html("li", { class: "quiet" }, text("noRebuilds"));
  update(find("#builds"), ...(builds.length ? builds.map((build) => progress(build, now)) : [none]));
}

function progress({ build, kind, readModels, alive, catchingUp, startedAt, done, total }, now) {
  const share = total ? done / total : 1;
  const bar = svg("svg", { class: "meter", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
  const facts = [text(catchingUp ? "catchingUp" : "filling"), text("buildOf", format.number(done), format.number(total)),
    format.distance(startedAt, now)];
  return html("li", { "data-build": build },
    html("span", { class: "name" }, `${kind} ${format.percent(share)}`),
    meter(bar, share),
    html("span", { class: "quiet" }, [...facts, ...(alive ? [] : [text("noProcess")])].join(" · ")),
    html("span", { class: "quiet" }, readModels.join(", ")));
}
