// Plain calendar days ("2026-11-23") of the learner. They are counted on the UTC calendar, which has
// no clock changes, and never converted to the viewer's zone.

const MILLISECONDS = 86_400_000;

const toCount = (day) => Date.parse(`${day}T00:00:00Z`) / MILLISECONDS;
const toDay = (count) => new Date(count * MILLISECONDS).toISOString().slice(0, 10);

/** The day `count` days after `day` (before it, when negative). */
export const addDays = (day, count) => toDay(toCount(day) + count);

/** How many days `to` lies after `from`. */
export const daysBetween = (from, to) => toCount(to) - toCount(from);

/** 0 for Monday … 6 for Sunday. */
export const weekday = (day) => (toCount(day) + 3) % 7;

/** The year that ends today, from a Monday on: at most 53 whole week columns. */
export const yearUntil = (today) => ({ from: addDays(today, -weekday(today) - 52 * 7), to: today });

/** The last `count` days, today included. */
export const lastDays = (today, count) => ({ from: addDays(today, 1 - count), to: today });
