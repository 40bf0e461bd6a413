// Half stars to choose, as a group of radio buttons: arrow keys change the choice.

import { debounced, h, icon, newId } from "../core/dom.js";

const VALUES = [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5];
const KEYS_PAUSE_MS = 600; // a choice by keys counts once they have paused

const five = () => VALUES.filter(Number.isInteger).map(() => icon("star"));

// Stars to read only.
export function starsShown(stars) {
  return h(
    "span",
    { class: "stars-shown", role: "img", "aria-label": `${stars} of 5 stars`, style: { "--stars": stars } },
    h("span", { class: "stars-empty" }, five()),
    h("span", { class: "stars-full" }, five()),
  );
}

// Stars to choose. `choose` gets the number, or null when the rating is removed. Returns the element, and
// `set`, which shows a rating. `clearable`: with a button that removes the rating.
export function starsChosen(title, choose, { clearable = true } = {}) {
  const name = newId("stars");
  let pointer = false;
  const later = debounced(choose, KEYS_PAUSE_MS);
  const halves = VALUES.map((value) =>
    h(
      "label",
      { class: "half", onpointerenter: () => preview(value) },
      h("input", { type: "radio", name, value, onchange: () => chosen(value) }),
      h("span", { class: "hidden-text" }, `${value} ${value === 1 ? "star" : "stars"}`),
    ),
  );
  const clear = clearable && h("button", { type: "button", class: "bare", onclick: () => choose(null) }, "Clear");
  const drawn = h(
    "span",
    { class: "stars-choice", onpointerleave: () => preview(null), onpointerdown: () => (pointer = true) },
    h("span", { class: "stars-empty", "aria-hidden": "true" }, five()),
    h("span", { class: "stars-full", "aria-hidden": "true" }, five()),
    h("span", { class: "halves" }, halves),
  );
  const element = h("fieldset", { class: "stars" }, h("legend", { class: "hidden-text" }, `Your rating of ${title}`), drawn, clear);

  function chosen(value) {
    element.style.setProperty("--stars", value);
    (pointer ? choose : later)(value);
    pointer = false;
  }
  function preview(value) {
    if (value === null) element.style.removeProperty("--preview");
    else element.style.setProperty("--preview", value);
  }
  function set(stars) {
    element.style.setProperty("--stars", stars ?? 0);
    halves.forEach((half, place) => (half.firstChild.checked = VALUES[place] === stars));
    if (clear) clear.hidden = stars === null;
    preview(null);
  }
  return { element, set };
}
