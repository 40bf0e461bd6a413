// The member's ratings: change or remove each, newest or oldest first.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { movieCard } from "../parts/card.js";
import { choice, mineHead } from "../parts/mine-tabs.js";
import { empty } from "../parts/states.js";
import { tunable } from "../parts/tunable.js";

const PAGE = 24;
const ORDERS = { newest: "Newest first", oldest: "Oldest first" };
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

// The API lists ratings newest first. The oldest first are its pages from the end, turned around.
async function find(query, cursor, signal) {
  const oldest = query.get("order") === "oldest";
  const variables = oldest ? { last: PAGE, before: cursor } : { first: PAGE, after: cursor };
  const { viewer } = await ask("ratings", variables, { signal });
  const { nodes, pageInfo, totalCount } = viewer.ratings;
  if (!oldest) return { items: nodes, pageInfo, totalCount };
  return { items: nodes.toReversed(), pageInfo: { hasNextPage: pageInfo.hasPreviousPage, endCursor: pageInfo.startCursor }, totalCount };
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
  return h("div", { class: "page", "data-title": "My ratings" }, mineHead("My ratings", h("div", { class: "list-head" }, count, choice("Order", "order", ORDERS, query, list.load))), list.element);
}
