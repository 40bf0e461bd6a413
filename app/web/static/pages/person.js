// A person: their movies, with what they did in each.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { movieCard } from "../parts/card.js";
import { paged } from "../parts/paged.js";
import { empty } from "../parts/states.js";

const roleOf = ({ directed, character }) => [directed && "Director", character && `as ${character}`].filter(Boolean).join(", ");

export async function page({ params, signal }) {
  const find = async (after = null) => {
    const { node } = await ask("person", { id: params.id, after }, { signal });
    return node?.movies && { ...node, items: node.movies.edges, pageInfo: node.movies.pageInfo };
  };
  const first = await find();
  if (!first) {
    return h("div", { class: "page", "data-title": "No such person" }, h("h1", null, "There is no such person"), empty("They may have been removed from the catalog.", h("a", { class: "button", href: "/search" }, "Browse all movies")));
  }
  const list = paged(first, {
    signal,
    item: (edge, place) => movieCard(edge.node, { edge: { reasons: [{ text: roleOf(edge) }] }, heading: "h2", eager: place < 12, long: true, signal }),
    more: find,
  });
  return h(
    "div",
    { class: "page", "data-title": first.name },
    h("div", { class: "page-head" }, h("h1", null, first.name), h("p", { class: "lead" }, plural(first.movies.totalCount, "movie"))),
    list.element,
  );
}
