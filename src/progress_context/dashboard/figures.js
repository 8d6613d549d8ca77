// The figures at the top of the page: streak, today, all time.

import { html, meter } from "./element.js";
import * as format from "./format.js";
import { text } from "./texts.js";

/** Put a figure in its place: what people read, and the value it stands for. */
function put(name, shown, value = null) {
  const node = document.querySelector(`[data-figure="${name}"]`);
  node.textContent = shown;
  if (value != null) node.setAttribute("data-value", value);
  else node.removeAttribute("data-value");
}

const putNumber = (name, value) => put(name, format.number(value), value);

/** The streak card from `learningStreak`. */
export function showStreak(streak) {
  putNumber("streak.current", streak.current);
  put("streak.unit", text("daysInARow", streak.current));
  put("streak.sentence", text(`streak${streakMood(streak)}`));
  put("streak.longest", longest(streak));
  document.querySelector("#week").replaceChildren(...streak.calendar.slice(-7).map(weekDay));
  document.querySelector(".streak").classList.toggle("out", streak.current === 0);
}

const weekDay = ({ date, active }) =>
  html("li", { class: active ? "active" : null }, format.day(date, "letter"));

function streakMood({ alive, activeToday, lastActiveDay }) {
  if (activeToday) return "Safe";
  if (alive) return "Waiting";
  return lastActiveDay ? "Over" : "None";
}

function longest(streak) {
  const run = streak.runs.findLast(({ days }) => days === streak.longest);
  const days = text("longestStreak", streak.longest);
  return run ? `${days} · ${text("fromTo", format.day(run.from, "short"), format.day(run.to, "short"))}` : days;
}

/** Today's figures, and yesterday's in a line, from two of `dailyStats`. */
export function showToday(day, yesterday) {
  putNumber("today.reviews", day.reviews);
  put("today.accuracy", format.percent(day.accuracy), day.accuracy);
  put("today.studyTime", format.duration(day.studyTime.seconds), day.studyTime.seconds);
  putNumber("today.sessions", day.sessions);
  putNumber("today.newItems", day.newItems);
  putNumber("today.itemsMastered", day.itemsMastered);
  put("today.yesterday", text("yesterday", yesterday.reviews, format.duration(yesterday.studyTime.seconds)));
}

/** The totals from `userSummary`. */
export function showTotals(summary) {
  putNumber("total.reviews", summary.reviews);
  put("total.accuracy", format.percent(summary.accuracy), summary.accuracy);
  put("total.studyTime", format.duration(summary.studySeconds), summary.studySeconds);
  putNumber("total.sessions", summary.sessions);
  putNumber("total.activeDays", summary.totalActiveDays);
  putNumber("total.itemsMastered", summary.itemsMastered);
  put("total.mastery", text("masteryShare", format.number(summary.itemsMastered), format.number(summary.itemsSeen)));
  meter(document.querySelector("#mastery"), summary.itemsMastered / (summary.itemsSeen || 1));
}
