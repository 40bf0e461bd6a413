// The steps of joining, and which one this is.

import { h } from "../core/dom.js";

const NAMES = ["Name", "Genres", "Movies"];

export const steps = (current) =>
  h(
    "ol",
    { class: "steps", "aria-label": "Steps of joining" },
    NAMES.map((name, place) =>
      h("li", { class: place < current ? "done" : null, "aria-current": place === current - 1 ? "step" : null }, name),
    ),
  );
