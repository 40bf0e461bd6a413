// For you: the member's list, with controls that change it.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { subscribe } from "../core/live.js";
import { movieCard } from "../parts/card.js";
import { filterOf, filters, slider } from "../parts/filters.js";
import { empty } from "../parts/states.js";
import { tunable } from "../parts/tunable.js";

const DIVERSITY = 0.3; // where the member chose none
const ENOUGH_RATINGS = 5;
const FIRST_POSTERS = 12;

const STRATEGIES = {
  PERSONALIZED: "From all your ratings.",
  SESSION: "From what you rated so far. A few more ratings sharpen it.",
  POPULAR: "Popular movies, until you have rated some.",
};

const number = (query, name, otherwise) => (query.has(name) ? Math.min(1, Math.max(0, Number(query.get(name)) || 0)) : otherwise);

async function find(query, after, signal) {
  const diversity = number(query, "diversity", DIVERSITY);
  const variables = { filter: filterOf(query), diversity, novelty: number(query, "novelty", null), after };
  const answer = after ? await ask("for-you-more", variables, { signal }) : await ask("for-you", variables, { signal });
  const { requestId, edges, pageInfo } = answer.recommendations;
  return { ...answer, items: edges.map((edge) => ({ edge, requestId })), pageInfo };
}

export async function page({ query, signal }) {
  const about = h("p", { class: "lead" });
  const count = h("p", { class: "soft", role: "status" });
  const show = ({ recommendations, movies, viewer }) => {
    about.textContent = STRATEGIES[recommendations.strategy];
    count.textContent = `${plural(movies.totalCount, "movie")} to choose from. You rated ${viewer.ratings.totalCount}.`;
    controls.show(movies.facets);
    news.hide();
  };
  const list = await tunable(query, (after, of) => find(query, after, of), {
    signal,
    show,
    item: ({ edge, requestId }, place) =>
      movieCard(edge.node, { edge, requestId, position: edge.rank - 1, heading: "h2", eager: place < FIRST_POSTERS, long: true, signal }),
    none: () => empty("No movie is left with these filters. Clear some of them."),
  });
  const put = (name) => (value) => {
    query.set(name, value);
    list.load();
  };
  const tuned = [
    slider("Diversity", ["Best matches", "More varied"], number(query, "diversity", DIVERSITY), put("diversity")),
    slider("Novelty", ["Well known", "Little known"], number(query, "novelty", 0), put("novelty")),
  ];
  const controls = filters(query, list.load, { first: h("div", { class: "tuning" }, tuned) });
  const news = newsBar(async () => (await list.load()) && scrollTo({ top: 0 }));
  show(list.first);
  subscribe("changed", {}, news.show, signal);
  const few = list.first.viewer.ratings.totalCount < ENOUGH_RATINGS;
  return h(
    "div",
    { class: "page" },
    h("div", { class: "page-head" }, h("h1", null, "For you"), about, count),
    few ? h("p", { class: "banner" }, "Rate five movies for a list of your own.", h("a", { class: "button", href: "/join/rate" }, "Rate movies")) : null,
    h("div", { class: "with-filters" }, controls.element, list.element),
    news.element,
  );
}

// Tells that the list has changed. It lies above the page, so that nothing moves under the pointer.
function newsBar(act) {
  const button = h("button", { type: "button", class: "button", onclick: act }, "Your list has changed. Show it");
  const element = h("div", { class: "news", role: "status" });
  return { element, show: () => element.replaceChildren(button), hide: () => element.replaceChildren() };
}
