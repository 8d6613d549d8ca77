// The page's language, and the locale of its numbers and dates.

const LANGUAGES = ["en", "ja"];

/** The first language we speak among `wanted`, English when there is none. */
export function chooseLanguage(wanted) {
  const codes = wanted.map((tag) => tag.toLowerCase().split("-")[0]);
  return codes.find((code) => LANGUAGES.includes(code)) ?? LANGUAGES[0];
}

const asked = new URLSearchParams(location.search).get("lang");
export const language = chooseLanguage([asked ?? "", ...navigator.languages]);

/** The locale of numbers and dates: the viewer's own variant of the page's language. */
export const locale = navigator.languages.find((tag) => tag.toLowerCase().split("-")[0] === language) ?? language;

const numbers = new Intl.NumberFormat(locale);

/** A whole number as people of this locale write it. */
export const plainNumber = (value) => numbers.format(value);

/** A counted English word: "1 day", "2 days". */
export const plural = (one, other) => (count) => `${plainNumber(count)} ${count === 1 ? one : other}`;

/** A counted Japanese word. */
export const counted = (word) => (count) => `${word}${plainNumber(count)}`;
