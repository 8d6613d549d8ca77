// Every word the page says, by name, in the page's language.

import { language } from "./language.js";
import { en } from "./words_en.js";
import { ja } from "./words_ja.js";

export { language, locale } from "./language.js";
export const languages = { en, ja };

/** A text by name; texts with gaps take their values. Throws on a name nobody wrote. */
export function text(name, ...values) {
  const found = languages[language][name];
  if (found === undefined) throw new Error(`no text is named ${name}`);
  return typeof found === "function" ? found(...values) : found;
}

/** Of a text that the service gives in all languages, the page's. */
export const translated = (words) => words[language] ?? words.en;

/** Fill every element of the page that names its text. */
export function fillTexts(root = document) {
  root.documentElement.lang = language;
  for (const node of root.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
  for (const node of root.querySelectorAll("[data-label]")) node.setAttribute("aria-label", text(node.dataset.label));
}
