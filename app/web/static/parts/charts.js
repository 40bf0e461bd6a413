// Charts as lists and tables, so that their numbers are there without the drawing.

import { h, plural } from "../core/dom.js";

// How many members gave each number of stars.
export function histogram(buckets) {
  const most = Math.max(1, ...buckets.map(({ count }) => count));
  return h(
    "ol",
    { class: "histogram" },
    buckets.map(({ stars, count }) =>
      h(
        "li",
        { title: `${stars} stars: ${plural(count, "rating")}`, style: { "--share": count / most } },
        h("span", { class: "hidden-text" }, `${stars} stars: ${plural(count, "rating")}`),
        h("span", { class: "bar", "aria-hidden": "true" }),
        h("span", { class: "axis", "aria-hidden": "true" }, Number.isInteger(stars) ? String(stars) : ""),
      ),
    ),
  );
}

// Bars to the left and right of a middle. `rows`: with a name or link, a value, and a note.
export function leanings(caption, rows) {
  const most = Math.max(0.1, ...rows.map(({ value }) => Math.abs(value)));
  return h(
    "table",
    { class: "leanings" },
    h("caption", { class: "hidden-text" }, caption),
    h("tbody", null, rows.map(({ name, value, note }) =>
      h(
        "tr",
        null,
        h("th", { scope: "row" }, name),
        h("td", { class: "leaning" }, h("span", { class: value < 0 ? "bar less" : "bar", "aria-hidden": "true", style: { "--share": Math.abs(value) / most } })),
        h("td", { class: "value" }, `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`),
        h("td", { class: "note" }, note),
      ),
    )),
  );
}
