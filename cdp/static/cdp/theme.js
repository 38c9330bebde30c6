/* Sets light or dark before the first paint; runs in <head>, before any style is drawn. Unfold keeps the choice up to date. */
(() => {
  "use strict";
  let choice = "auto";
  try {
    choice = JSON.parse(localStorage.getItem("adminTheme") || '"auto"');
  } catch {
    choice = "auto";
  }
  const dark = choice === "dark" || (choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
})();
