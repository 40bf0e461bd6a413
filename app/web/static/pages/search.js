// Search: movies and people, narrowed by facets. Without a text, all movies in an order.

import { ask } from "../core/api.js";
import { h, icon, newId, plural } from "../core/dom.js";
import { movieCard, personAddress } from "../parts/card.js";
import { filterOf, filters } from "../parts/filters.js";
import { empty } from "../parts/states.js";
import { tunable } from "../parts/tunable.js";

const ORDERS = { POPULARITY: "Most rated", AVERAGE_RATING: "Best rated", RELEASE_DATE: "Newest", TITLE: "Title" };
const MATCHES = { PERSON: "By a person", WORDS: "By its words", MEANING: "By its meaning" };

async function find(query, after, signal) {
  const text = query.get("q");
  const filter = filterOf(query);
  if (text) {
    const { search, searchPeople } = await ask("search", { text, filter, after }, { signal });
    return { ...search, items: search.edges, people: searchPeople.nodes };
  }
  const field = query.get("order") in ORDERS ? query.get("order") : "POPULARITY";
  const { movies } = await ask("browse", { filter, after, orderBy: { field } }, { signal });
  return { ...movies, items: movies.nodes.map((node) => ({ node })), people: [] };
}

export async function page({ query, signal }) {
  const text = query.get("q");
  const count = h("p", { class: "lead", role: "status" });
  const show = ({ totalCount, facets }) => {
    count.textContent = plural(totalCount, "movie");
    controls.show(facets);
  };
  const none = () =>
    empty(filterOf(query) ? "No movie is left with these filters. Clear some of them." : "Nothing found. Try fewer or other words, or what the movie is about.");
  const list = await tunable(query, (after, of) => find(query, after, of), { signal, show, none, item: card });
  const controls = filters(query, list.load, { name: "Filter", first: text ? null : order(query, list.load) });
  show(list.first);

  function card({ node, matchedBy }, place) {
    const reasons = MATCHES[matchedBy] ? [{ text: MATCHES[matchedBy] }] : [];
    return movieCard(node, { edge: { reasons }, heading: "h2", eager: place < 12, long: true, signal });
  }
  const { people } = list.first;
  return h(
    "div",
    { class: "page", "data-title": text || "All movies" },
    h("div", { class: "page-head" }, h("h1", null, text ? `Results for “${text}”` : "All movies"), count),
    people.length ? h("ul", { class: "people", "aria-label": "People" }, people.map(person)) : null,
    h("div", { class: "with-filters" }, controls.element, list.element),
  );
}

const person = ({ id, name, movies }) =>
  h(
    "li",
    null,
    h(
      "a",
      { class: "person", href: personAddress({ id }) },
      icon("person"),
      h("span", null, h("b", null, name), h("span", { class: "soft" }, `${plural(movies.totalCount, "movie")}: ${movies.nodes.map(({ title }) => title).join(", ")}`)),
    ),
  );

function order(query, changed) {
  const id = newId("order");
  const choose = () => {
    query.set("order", input.value);
    changed();
  };
  const input = h("select", { id, onchange: choose }, Object.entries(ORDERS).map(([value, label]) => h("option", { value }, label)));
  input.value = query.get("order") in ORDERS ? query.get("order") : "POPULARITY";
  return h("div", { class: "field" }, h("label", { for: id }, "Order"), h("div", { class: "input" }, input));
}
