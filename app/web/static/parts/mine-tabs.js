// The places of the member's own lists.

import { h } from "../core/dom.js";

const TABS = { "/mine": "Ratings", "/mine/watchlist": "Watchlist", "/mine/history": "History", "/mine/taste": "Taste" };

// The head of a page: its heading, the tabs, and what is counted.
export const mineHead = (title, count) =>
  h(
    "div",
    { class: "page-head" },
    h("h1", null, title),
    h(
      "nav",
      { class: "tabs", "aria-label": "Mine" },
      Object.entries(TABS).map(([path, label]) => h("a", { href: path, "aria-current": path === location.pathname ? "page" : null }, label)),
    ),
    count,
  );

// A menu to choose an order or a kind, which is in the address as `name`.
export function choice(label, name, choices, query, changed) {
  const input = h(
    "select",
    { onchange: () => (query.set(name, input.value), changed()) },
    Object.entries(choices).map(([value, text]) => h("option", { value }, text)),
  );
  input.value = query.get(name) in choices ? query.get(name) : Object.keys(choices)[0];
  return h("label", { class: "choice" }, h("span", null, label), input);
}
