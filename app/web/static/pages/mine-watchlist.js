// The member's watchlist, with the match of each movie.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { movieCard } from "../parts/card.js";
import { choice, mineHead } from "../parts/mine-tabs.js";
import { empty } from "../parts/states.js";
import { tunable } from "../parts/tunable.js";

const ORDERS = { ADDED_AT: "Added last", POPULARITY: "Most rated", AVERAGE_RATING: "Best rated", RELEASE_DATE: "Newest", TITLE: "Title" };

async function find(query, after, signal) {
  const field = query.get("order") in ORDERS ? query.get("order") : "ADDED_AT";
  const { viewer } = await ask("watchlist", { after, orderBy: { field } }, { signal });
  return { ...viewer.watchlist, items: viewer.watchlist.nodes };
}

export async function page({ query, signal }) {
  const count = h("p", { class: "soft", role: "status" });
  const show = ({ totalCount }) => (count.textContent = plural(totalCount, "movie"));
  const list = await tunable(query, (after, of) => find(query, after, of), {
    signal,
    show,
    item: (movie, place) => movieCard(movie, { edge: movie.viewer.match ?? {}, heading: "h2", eager: place < 12, long: true, signal }),
    none: () => empty("Your watchlist is empty. The bookmark on a movie puts it here.", h("a", { class: "button", href: "/for-you" }, "Find movies")),
  });
  show(list.first);
  return h("div", { class: "page", "data-title": "My watchlist" }, mineHead("My watchlist", h("div", { class: "list-head" }, count, choice("Order", "order", ORDERS, query, list.load))), list.element);
}
