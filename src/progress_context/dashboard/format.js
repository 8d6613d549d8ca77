// Values as people read them, in the page's language. `null` is shown as a dash.

import { language, locale } from "./texts.js";

const NOTHING = "–";
const MINUTE = 60;
const HOUR = 3600;

const plain = new Intl.NumberFormat(locale);
const oneDecimal = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const ratio = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 });
const unitDisplay = language === "ja" ? "short" : "narrow"; // narrow Japanese units are Latin letters
const unit = (name, maximumFractionDigits = 0) =>
  new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay, maximumFractionDigits });
const units = { hour: unit("hour"), minute: unit("minute"), second: unit("second", 1) };

const dayStyles = Object.fromEntries(
  Object.entries({
    full: { weekday: "long", day: "numeric", month: "long", year: "numeric" },
    medium: { weekday: "short", day: "numeric", month: "short", year: "numeric" },
    short: { day: "numeric", month: "short" },
    date: { day: "numeric", month: "short", year: "numeric" },
    dayName: { weekday: "short", day: "numeric", month: "short" },
    monthYear: { month: "short", year: "numeric" },
    month: { month: "short" },
    weekday: { weekday: "short" },
    letter: { weekday: "narrow" },
  }).map(([name, options]) => [name, new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" })]),
);
const instants = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
const exactly = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" });
const clocks = new Intl.DateTimeFormat(locale, { timeStyle: "medium", timeZone: "UTC" });
const compactly = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const distances = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

export const number = (value) => (value == null ? NOTHING : plain.format(value));

export const percent = (value) => (value == null ? NOTHING : ratio.format(value));

/** A percentage from 0 to 100. */
export const share = (value) => (value == null ? NOTHING : ratio.format(value / 100));

/** A number with at most one decimal. */
export const decimal = (value) => (value == null ? NOTHING : oneDecimal.format(value));

/** A plain day; `style` is full, medium, short, date, dayName, monthYear, month, weekday or letter. */
export const day = (value, style = "medium") => dayStyles[style].format(new Date(`${value}T00:00:00Z`));

/** Study time from seconds: hours and minutes; only seconds below a minute, only hours from 100 on. */
export function duration(seconds) {
  if (seconds == null) return NOTHING;
  if (seconds < MINUTE - 0.5) return units.second.format(Math.round(seconds));
  if (seconds >= 100 * HOUR) return units.hour.format(Math.round(seconds / HOUR));
  const all = Math.round(seconds / MINUTE);
  const [hours, minutes] = [Math.floor(all / 60), all % 60];
  const parts = [];
  if (hours) parts.push(units.hour.format(hours));
  if (minutes || !hours) parts.push(units.minute.format(minutes));
  return parts.join(" ");
}

export const responseTime = (milliseconds) =>
  milliseconds == null ? NOTHING : units.second.format(milliseconds / 1000);

/** An instant on the clock of UTC, which is named: the viewer's own zone is nobody's learning zone. */
export const instant = (value) => `${instants.format(new Date(value))} UTC`;

/** An instant to the second, on the clock of UTC. */
export const exact = (value) => `${exactly.format(new Date(value))} UTC`;

/** The time of day of an instant, on the clock of UTC. */
export const clock = (value) => clocks.format(new Date(value));

/** A large number in few letters, for axes. */
export const compact = (value) => compactly.format(value);

/** How far an instant lies from `now` (milliseconds), in the coarsest fitting unit: "in 3 days". */
export function distance(value, now) {
  const seconds = (Date.parse(value) - now) / 1000;
  const steps = [["day", 86_400], ["hour", HOUR], ["minute", MINUTE]];
  const [name, size] = steps.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return distances.format(Math.trunc(seconds / size), name);
}
