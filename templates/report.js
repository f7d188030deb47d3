// Filters for the findings and the targets, and pages where there are too many targets for one.
"use strict";
(() => {
  const digits = new Intl.NumberFormat(document.documentElement.lang);
  const say = (output, numbers, sentence) => {
    output.textContent = sentence.replace(/\{(\w+)\}/g, (_, name) => digits.format(numbers[name]));
  };
  const textOf = (entry) => (entry.text ??= (entry.element?.textContent ?? entry.html.replace(/<[^>]*>/g, " ")).toLowerCase());
  const entryOf = (element) => ({
    element,
    anchor: element.id,
    environments: element.dataset.environments.split("\n"),
    severity: element.dataset.severity,
    standing: element.dataset.standing,
  });
  // A list that is whole in the page: what does not fit is hidden.
  const wholeList = (selector) => {
    let entries;
    return {
      entries: () => (entries ??= [...document.querySelectorAll(selector)].map(entryOf)),
      show(found) {
        const fitting = new Set(found);
        for (const entry of this.entries()) if (entry.element.hidden === fitting.has(entry)) entry.element.hidden = !fitting.has(entry);
      },
      reveal: () => {},
    };
  };
  // A list of which a page is in the document. The others are data beside it: markup that was escaped when it was
  // written, as the rest of the report.
  const pagedList = (data) => {
    const list = document.getElementById(data.dataset.list);
    const pager = document.querySelector(`nav.pages[data-list="${data.dataset.list}"]`);
    const size = list.children.length;
    let entries;
    let found;
    let start = 0;
    const all = () =>
      (entries ??= [
        ...[...list.children].map((element) => ({ ...entryOf(element), element: null, html: element.outerHTML })),
        ...JSON.parse(data.textContent).map(([anchor, environment, standing, html]) => ({ anchor, environments: [environment], standing, html })),
      ]);
    const turn = (to) => {
      start = to;
      list.innerHTML = found.slice(start, start + size).map((entry) => entry.html).join("");
      tell();
    };
    const tell = () => {
      const [back, on] = pager.querySelectorAll("button");
      back.disabled = start === 0;
      on.disabled = start + size >= found.length;
      const last = Math.min(start + size, found.length);
      say(pager.querySelector("output"), { first: Math.min(start + 1, last), last, all: found.length }, pager.dataset.shown);
    };
    // Before anybody turns a page, how many there are is enough.
    const count = size + Number(data.dataset.count);
    say(pager.querySelector("output"), { first: 1, last: size, all: count }, pager.dataset.shown);
    pager.querySelector("button").disabled = true;
    pager.hidden = false;
    pager.parentElement.querySelector("[data-without-script]").hidden = true;
    pager.addEventListener("click", (event) => {
      const step = Number(event.target.dataset?.step);
      if (!step) return;
      found ??= all();
      turn(start + step * size);
      list.scrollIntoView();
    });
    return {
      entries: all,
      show(matching) {
        found = matching;
        turn(0);
      },
      reveal(anchor) {
        const place = all().findIndex((entry) => entry.anchor === anchor);
        if (place < 0) return;
        found = all();
        turn(place - (place % size));
      },
    };
  };
  const data = document.querySelector('script[data-list="target-list"]');
  const lists = { findings: wholeList(".finding"), targets: data ? pagedList(data) : wholeList(".target-box") };
  for (const form of document.querySelectorAll("form.filter")) {
    const list = lists[form.dataset.filter];
    const apply = () => {
      const wanted = Object.fromEntries(new FormData(form));
      const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
      const entries = list.entries();
      const found = entries.filter(
        (entry) =>
          (!wanted.environment || entry.environments.includes(wanted.environment)) &&
          (!wanted.severity || entry.severity === wanted.severity) &&
          (!wanted.standing || entry.standing === wanted.standing) &&
          words.every((word) => textOf(entry).includes(word)),
      );
      list.show(found);
      say(form.querySelector("output"), { shown: found.length, all: entries.length }, form.dataset.shown);
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  // What scrolls sideways can be reached by keyboard. Measuring lays a box out, so it is done a few at a time, when
  // nothing else is to be done; all of a few are measured before any is changed, so that they are laid out once.
  const later = window.requestIdleCallback || setTimeout;
  let waiting = [];
  const reach = () => {
    const boxes = waiting.splice(0, 40).filter((box) => box.scrollWidth > box.clientWidth);
    for (const box of boxes) {
      const label = box.querySelector("caption, title") || box.closest("section, article").querySelector("h2, h3");
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", label.textContent.trim());
    }
    if (waiting.length) later(reach);
  };
  const measure = (within) => {
    const started = waiting.length;
    waiting.push(...within.querySelectorAll(".scroll, pre"));
    if (!started) later(reach);
  };
  addEventListener("resize", () => measure(document));
  document.addEventListener("toggle", (event) => measure(event.target), true);
  measure(document);
  // A link to a target opens it, also when a filter hides it or it is on another page.
  const reveal = () => {
    const anchor = decodeURIComponent(location.hash.slice(1));
    if (!document.getElementById(anchor)) lists.targets.reveal(anchor);
    const element = document.getElementById(anchor);
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
