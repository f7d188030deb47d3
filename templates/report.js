// Filters for the findings and the targets. Everything can be read without them.
"use strict";
(() => {
  const digits = new Intl.NumberFormat(document.documentElement.lang);
  const items = { findings: ".finding", targets: ".target-box" };
  for (const form of document.querySelectorAll("form.filter")) {
    const entries = [...document.querySelectorAll(items[form.dataset.filter])].map((element) => ({
      element,
      text: element.textContent.toLowerCase(),
      environments: element.dataset.environments.split("\n"),
      severity: element.dataset.severity,
      standing: element.dataset.standing,
    }));
    const apply = () => {
      const wanted = Object.fromEntries(new FormData(form));
      const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const entry of entries) {
        const fits =
          words.every((word) => entry.text.includes(word)) &&
          (!wanted.environment || entry.environments.includes(wanted.environment)) &&
          (!wanted.severity || entry.severity === wanted.severity) &&
          (!wanted.standing || entry.standing === wanted.standing);
        entry.element.hidden = !fits;
        shown += fits;
      }
      const said = { shown: digits.format(shown), all: digits.format(entries.length) };
      form.querySelector("output").textContent = form.dataset.shown.replace(/\{(\w+)\}/g, (_, name) => said[name]);
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  // What scrolls sideways can be reached by keyboard.
  const reach = () => {
    // All is measured before anything is changed, so that the page is laid out once.
    const boxes = [...document.querySelectorAll(".scroll, pre")].filter((box) => box.scrollWidth > box.clientWidth);
    for (const box of boxes) {
      const label = box.querySelector("caption, title") || box.closest("section, article").querySelector("h2, h3");
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", label.textContent.trim());
    }
  };
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
  (window.requestIdleCallback || setTimeout)(reach);
  // A link to a target opens it, also when a filter hides it.
  const reveal = () => {
    const element = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const box = element && element.closest("details.target-box, article.finding");
    if (!box) return;
    box.hidden = false;
    if ("open" in box) box.open = true;
    element.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((box) => (box.open = true)));
})();
