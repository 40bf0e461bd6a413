// A row of cards with a title, which scrolls sideways: by hand, with its buttons, or with the arrow keys.

import { ask } from "../core/api.js";
import { h, icon, newId } from "../core/dom.js";
import { movieCard } from "./card.js";
import { problem } from "./states.js";

const STEP = 0.85; // of the visible width
const NEAR = 1.5; // visible widths before the end at which more is requested

// `movies`: a connection with edges. `id`: of a shelf of the API that has more. `eager`: how many posters are
// requested at once. `reasons`: each card shows its first reason.
export function shelf(title, movies, { id = null, requestId = null, eager = 0, reasons = false, signal }) {
  const titleId = newId("shelf");
  const list = h("ul", { class: "shelf-list", tabindex: "-1" });
  const add = ({ edges }) => {
    const from = list.children.length;
    list.append(
      ...edges.map((edge, place) =>
        h("li", null, movieCard(edge.node, { edge, requestId, position: from + place, eager: from + place < eager, long: reasons, signal })),
      ),
    );
  };
  const step = (way) => list.scrollBy({ left: way * STEP * list.clientWidth });
  const button = (name, label, way) =>
    h("button", { type: "button", class: "round", "aria-label": `${label}: ${title}`, onclick: () => step(way) }, icon(name));
  const back = button("left", "Back", -1);
  const on = button("right", "On", 1);
  const element = h(
    "section",
    { class: "shelf", "aria-labelledby": titleId },
    h("div", { class: "shelf-head" }, h("h2", { id: titleId }, title), h("div", { class: "shelf-steps" }, back, on)),
    list,
  );
  let { pageInfo } = movies;
  let loading = false;

  async function more() {
    if (loading || !id || !pageInfo?.hasNextPage) return;
    loading = true;
    list.querySelector(".problem")?.closest("li").remove();
    try {
      const { node } = await ask("shelf", { id, after: pageInfo.endCursor }, { signal });
      ({ pageInfo } = node.movies);
      add(node.movies);
    } catch (error) {
      if (!signal.aborted) list.append(h("li", null, problem(error, () => ((loading = false), more()))));
      return;
    }
    loading = false;
    look();
  }
  function look() {
    back.disabled = list.scrollLeft < 2;
    const left = list.scrollWidth - list.clientWidth - list.scrollLeft;
    on.disabled = left < 2 && !pageInfo?.hasNextPage;
    if (list.scrollLeft > 0 && left < NEAR * list.clientWidth) more();
  }
  list.addEventListener("scroll", look, { passive: true });
  list.addEventListener("keydown", (event) => moveByKey(event, list));
  new ResizeObserver(look).observe(list);
  add(movies);
  return element;
}

// The arrow keys go from card to card; within a group of stars they belong to the stars.
function moveByKey(event, list) {
  const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!way || event.target.matches("input")) return;
  const links = [...list.querySelectorAll(".card-title a")];
  const here = event.target.closest("li")?.querySelector(".card-title a");
  const next = links[links.indexOf(here) + way];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.closest("li").scrollIntoView({ block: "nearest", inline: "nearest" });
}
