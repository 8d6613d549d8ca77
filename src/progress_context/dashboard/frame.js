// The page's frame: theme, language, title.

import { language, text } from "./texts.js";

const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

/** Wire the frame; `show(learner)` brings its links and title to what is shown now. */
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

function show(learner, title = learner) {
  const other = language === "en" ? "ja" : "en";
  const link = document.querySelector("#language");
  link.textContent = text("otherLanguage");
  link.lang = link.hreflang = other;
  const here = new URLSearchParams(location.search);
  const chosen = here.get("lang");
  here.set("lang", other);
  link.href = `?${here}`;
  const there = chosen ? `?${new URLSearchParams({ lang: chosen })}` : "";
  document.querySelector("#home").href = `./${there}`;
  document.querySelector("#elsewhere").href = `${document.querySelector("#elsewhere").getAttribute("data-page")}${there}`;
  document.title = title ? `${title} · ${text("product")}` : text("product");
}
