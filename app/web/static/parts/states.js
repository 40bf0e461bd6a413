// Waiting, empty and failed: what a page shows when it has nothing else to show.

import { h } from "../core/dom.js";

export const failed = (what, error) => `${what}: ${error.message}`;

// Outlines of cards, while a page is requested.
export function skeleton(cards = 12) {
  return h(
    "div",
    { class: "page skeleton", "aria-busy": "true" },
    h("p", { class: "hidden-text" }, "Loading"),
    h("div", { class: "bone bone-title" }),
    h("div", { class: "grid" }, Array.from({ length: cards }, () => h("div", { class: "bone bone-card" }))),
  );
}

// A page that could not be loaded, with a button to try again.
export function failure(error, again) {
  return h(
    "div",
    { class: "page state", role: "alert" },
    h("h1", null, "This page did not load"),
    h("p", null, error.message),
    h("button", { type: "button", class: "button", onclick: again }, "Try again"),
  );
}

// A part of a page that could not be loaded.
export function problem(error, again) {
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", null, error.message),
    again && h("button", { type: "button", class: "quiet", onclick: again }, "Try again"),
  );
}

// A list without entries, and what to do about it.
export function empty(text, ...actions) {
  return h("div", { class: "state" }, h("p", null, text), actions.length ? h("p", { class: "row" }, ...actions) : null);
}

// A button that shows that its work is under way, and is not pressed twice meanwhile.
export function busyButton(properties, label, act) {
  const button = h("button", { type: "button", ...properties }, label);
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    try {
      await act();
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
  return button;
}
