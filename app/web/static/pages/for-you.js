// For you: the member's list, with controls that change it.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { subscribe } from "../core/live.js";
import { setQuery } from "../core/router.js";
import { movieCard } from "../parts/card.js";
import { filterOf, filters, slider } from "../parts/filters.js";
import { paged } from "../parts/paged.js";
import { empty, problem } from "../parts/states.js";

const DIVERSITY = 0.3; // where the member chose none
const ENOUGH_RATINGS = 5;

const STRATEGIES = {
  PERSONALIZED: "From all your ratings.",
  SESSION: "From what you rated so far. A few more ratings sharpen it.",
  POPULAR: "Popular movies, until you have rated some.",
};

const number = (query, name, otherwise) => (query.has(name) ? Math.min(1, Math.max(0, Number(query.get(name)) || 0)) : otherwise);

const variablesOf = (query) => ({
  filter: filterOf(query),
  diversity: number(query, "diversity", DIVERSITY),
  novelty: number(query, "novelty", null),
});

const pageOf = ({ requestId, edges, pageInfo }) => ({ items: edges.map((edge) => ({ edge, requestId })), pageInfo });

export async function page({ query, signal }) {
  const first = await ask("for-you", variablesOf(query), { signal });
  const about = h("p", { class: "lead" });
  const count = h("p", { class: "soft", role: "status" });
  const fault = h("div");
  const list = paged(pageOf(first.recommendations), {
    signal,
    item: ({ edge, requestId }, place) => movieCard(edge.node, { edge, requestId, heading: "h2", eager: place < 12, long: true, signal }),
    more: async (after) => pageOf((await ask("for-you-more", { ...variablesOf(query), after }, { signal })).recommendations),
    none: () => empty("No movie is left with these filters. Clear some of them."),
  });
  const put = (name) => (value) => {
    query.set(name, value);
    load();
  };
  const tuned = [
    slider("Diversity", ["Best matches", "More varied"], number(query, "diversity", DIVERSITY), put("diversity")),
    slider("Novelty", ["Well known", "Little known"], number(query, "novelty", 0), put("novelty")),
  ];
  const controls = filters(query, load, { first: h("div", { class: "tuning" }, tuned) });
  const news = newsBar(() => load({ top: true }));
  let current = null;

  async function load({ top = false } = {}) {
    current?.abort();
    const mine = (current = new AbortController());
    setQuery(query);
    news.hide();
    list.element.setAttribute("aria-busy", "true");
    fault.replaceChildren();
    try {
      const answer = await ask("for-you", variablesOf(query), { signal: AbortSignal.any([mine.signal, signal]) });
      list.replace(pageOf(answer.recommendations));
      show(answer);
      if (top) scrollTo({ top: 0 });
    } catch (error) {
      if (!mine.signal.aborted && !signal.aborted) fault.replaceChildren(problem(error, load));
    } finally {
      if (mine === current) list.element.removeAttribute("aria-busy");
    }
  }
  function show({ recommendations, movies, viewer }) {
    about.textContent = STRATEGIES[recommendations.strategy];
    count.textContent = `${plural(movies.totalCount, "movie")} to choose from. You rated ${viewer.ratings.totalCount}.`;
    controls.show(movies.facets);
  }
  show(first);
  subscribe("changed", {}, news.show, signal);
  const few = first.viewer.ratings.totalCount < ENOUGH_RATINGS;
  return h(
    "div",
    { class: "page" },
    h("div", { class: "page-head" }, h("h1", null, "For you"), about, count),
    few ? h("p", { class: "banner" }, "Rate five movies for a list of your own.", h("a", { class: "button", href: "/join/rate" }, "Rate movies")) : null,
    h("div", { class: "with-filters" }, controls.element, h("div", null, fault, list.element)),
    news.element,
  );
}

// Tells that the list has changed. It lies above the page, so that nothing moves under the pointer.
function newsBar(act) {
  const button = h("button", { type: "button", class: "button", onclick: act }, "Your list has changed. Show it");
  const element = h("div", { class: "news", role: "status" });
  return { element, show: () => element.replaceChildren(button), hide: () => element.replaceChildren() };
}
