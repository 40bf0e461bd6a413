// The member's ratings: change or remove each, in an order.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { movieCard } from "../parts/card.js";
import { choice, mineHead } from "../parts/mine-tabs.js";
import { empty } from "../parts/states.js";
import { tunable } from "../parts/tunable.js";

const ORDERS = {
  newest: { label: "Newest first", field: "RATED_AT", direction: "DESC" },
  oldest: { label: "Oldest first", field: "RATED_AT", direction: "ASC" },
  best: { label: "Best first", field: "STARS", direction: "DESC" },
  worst: { label: "Worst first", field: "STARS", direction: "ASC" },
  title: { label: "Title", field: "TITLE", direction: "ASC" },
};
const LABELS = Object.fromEntries(Object.entries(ORDERS).map(([name, { label }]) => [name, label]));
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

async function find(query, after, signal) {
  const { field, direction } = ORDERS[query.get("order")] ?? ORDERS.newest;
  const { viewer } = await ask("ratings", { after, orderBy: { field, direction } }, { signal });
  return { ...viewer.ratings, items: viewer.ratings.nodes };
}

export async function page({ query, signal }) {
  const count = h("p", { class: "soft", role: "status" });
  const show = ({ totalCount }) => (count.textContent = plural(totalCount, "rating"));
  const list = await tunable(query, (cursor, of) => find(query, cursor, of), {
    signal,
    show,
    item: ({ movie, ratedAt }, place) =>
      movieCard(movie, { edge: { reasons: [{ text: `Rated on ${date.format(new Date(ratedAt))}` }] }, heading: "h2", eager: place < 12, long: true, stars: true, signal }),
    none: () => empty("You have not rated a movie yet.", h("a", { class: "button", href: "/join/rate" }, "Rate movies")),
  });
  show(list.first);
  return h("div", { class: "page", "data-title": "My ratings" }, mineHead("My ratings", h("div", { class: "list-head" }, count, choice("Order", "order", LABELS, query, list.load))), list.element);
}
