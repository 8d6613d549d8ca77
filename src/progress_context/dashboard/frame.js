// The page's frame: theme, language, title.

import { language, text } from "./texts.js";

const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

/** Wire the frame; `show(learner)` brings its links and title to the shown learner. */
export function frame() {
  const button = document.querySelector("#theme");
  button.setAttribute("aria-label", text("darkTheme"));
  button.title = text("darkTheme");
  const showTheme = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => { setTheme(isDark() ? "light" : "dark"); showTheme(); });
  system.addEventListener("change", showTheme);
  showTheme();
  return { show };
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Storage may be forbidden; the theme then lasts until the page is left.
  }
}

function show(learner) {
  const other = language === "en" ? "ja" : "en";
  const link = document.querySelector("#language");
  link.textContent = text("otherLanguage");
  link.lang = link.hreflang = other;
  link.href = address({ learner, lang: other });
  document.querySelector("#home").href = address({ lang: new URLSearchParams(location.search).get("lang") });
  document.title = learner ? `${learner} · ${text("product")}` : text("product");
}

function address(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  return `?${new URLSearchParams(given)}`;
}
