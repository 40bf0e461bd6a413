// Home: shelves. Visitors also see what the service is for, members what is next for them.

import { demo } from "../manifest.js";
import { ask } from "../core/api.js";
import { h } from "../core/dom.js";
import { enter } from "../core/session.js";
import { toast } from "../core/toasts.js";
import { poster } from "../parts/card.js";
import { shelf } from "../parts/shelf.js";
import { busyButton, empty, failed } from "../parts/states.js";

const ENOUGH_RATINGS = 5; // for a list of one's own
const HERO_POSTERS = 8;
const FIRST_POSTERS = 8; // of the first shelf, which are on screen at once

export async function page({ signal }) {
  const { viewer, home } = await ask("home", {}, { signal });
  const shelves = home.shelves.filter(({ movies }) => movies.edges.length);
  const watchlist = viewer?.watchlist;
  return h(
    "div",
    { class: "page" },
    viewer ? welcome(viewer) : hero(shelves),
    shelves.map((each, place) =>
      shelf(each.title, each.movies, { id: each.id, requestId: home.requestId, eager: viewer && !place ? FIRST_POSTERS : 0, signal }),
    ),
    watchlist?.nodes.length
      ? shelf("Your watchlist", { edges: watchlist.nodes.map((node) => ({ node })) }, { signal })
      : null,
    shelves.length ? null : empty("There are no movies in the catalog yet."),
  );
}

function hero(shelves) {
  const posters = varied(shelves).slice(0, HERO_POSTERS);
  const lookAround = async () => {
    try {
      const problem = await enter("logIn", ...demo);
      if (problem) toast(problem.message, { error: true });
    } catch (error) {
      toast(failed("The demo did not open", error), { error: true });
    }
  };
  return h(
    "section",
    { class: "hero" },
    h(
      "div",
      { class: "hero-text" },
      h("h1", null, "Movies that match you."),
      h("p", { class: "lead" }, "Rate five movies. Get a list of your own, with a match for each movie and the reason why."),
      h(
        "p",
        { class: "row" },
        h("a", { class: "button large", href: "/join" }, "Join"),
        demo && busyButton({ class: "quiet large" }, "Look around as demo", lookAround),
      ),
      h("p", { class: "soft" }, "It takes two minutes. No e-mail needed."),
    ),
    h("div", { class: "hero-posters", "aria-hidden": "true" }, posters.map((movie) => poster(movie, { eager: true }))),
  );
}

// The movies of the shelves, each once: the first of each, then the second of each, and so on.
function varied(shelves) {
  const lists = shelves.map(({ movies }) => movies.edges.map(({ node }) => node));
  const longest = Math.max(0, ...lists.map((list) => list.length));
  const mixed = Array.from({ length: longest }, (_, place) => lists.map((list) => list[place])).flat().filter(Boolean);
  return [...new Map(mixed.map((movie) => [movie.id, movie])).values()];
}

function welcome({ username, ratings, favoriteGenres }) {
  const left = ENOUGH_RATINGS - ratings.totalCount;
  const heading = h("h1", { class: "hidden-text" }, "Home");
  if (left <= 0) return heading;
  const next = favoriteGenres.length ? "/join/rate" : "/join/genres";
  return h(
    "section",
    { class: "banner" },
    heading,
    h("p", null, `Welcome, ${username}. Rate ${left === ENOUGH_RATINGS ? "five" : left} ${left === 1 ? "more movie" : "movies"} and the shelves become yours.`),
    h("a", { class: "button", href: next }, "Rate movies"),
  );
}
