// A movie: facts, the member's match with all reasons, cast, ratings of all members, similar movies.

import { ask } from "../core/api.js";
import { h, icon, plural } from "../core/dom.js";
import { follow, hide, learn, rate, watchlist } from "../core/marks.js";
import { session } from "../core/session.js";
import { expectedText, matchText, movieAddress, personAddress, poster, sentence } from "../parts/card.js";
import { histogram } from "../parts/charts.js";
import { shelf } from "../parts/shelf.js";
import { starsChosen } from "../parts/stars.js";
import { empty } from "../parts/states.js";

const languageNames = new Intl.DisplayNames("en", { type: "language", fallback: "code" });
const regionNames = new Intl.DisplayNames("en", { type: "region", fallback: "code" });
const MOST_KEYWORDS = 12;

export async function page({ params, signal }) {
  const languages = navigator.languages.slice(0, 5).map((each) => each.split("-")[0]);
  const { movie } = await ask("movie", { id: params.id, languages: [...new Set(languages)] }, { signal });
  if (!movie) return missing();
  learn(movie);
  const title = movie.localizedTitle;
  return h(
    "article",
    { class: "page movie", "data-title": title },
    h(
      "div",
      { class: "movie-top" },
      h("div", { class: "movie-poster" }, poster(movie, { eager: true })),
      h(
        "div",
        { class: "movie-facts" },
        h("h1", null, title),
        movie.originalTitle && movie.originalTitle !== title ? h("p", { class: "soft original" }, movie.originalTitle) : null,
        h("p", { class: "movie-line" }, lineOf(movie)),
        h("p", { class: "row chips" }, movie.genres.map(({ name }) => h("a", { class: "tag", href: `/search?genre=${encodeURIComponent(name)}` }, name))),
        session() ? own(movie, signal) : invitation(),
        movie.tagline && h("p", { class: "tagline" }, movie.tagline),
        movie.overview && h("p", { class: "prose" }, movie.overview),
        credits(movie),
      ),
    ),
    h("div", { class: "movie-more" }, castOf(movie.cast), ratingsOf(movie)),
    movie.similar.edges.length ? shelf("Similar movies", movie.similar, { reasons: true, signal }) : null,
  );
}

const missing = () =>
  h("div", { class: "page", "data-title": "No such movie" }, h("h1", null, "There is no such movie"), empty("It may have been removed from the catalog.", h("a", { class: "button", href: "/search" }, "Browse all movies")));

function lineOf({ year, runtimeMinutes, certification, originalLanguage, countries }) {
  const hours = runtimeMinutes && [Math.floor(runtimeMinutes / 60), runtimeMinutes % 60];
  return [
    year,
    hours && (hours[0] ? `${hours[0]} h ${hours[1]} min` : `${hours[1]} min`),
    certification,
    originalLanguage && languageNames.of(originalLanguage),
    countries.map((code) => (/^[A-Z]{2}$/.test(code) ? regionNames.of(code) : code)).join(", "),
  ]
    .filter(Boolean)
    .join(" · ");
}

// What the movie is to the member: the match with its reasons, and the member's own marks.
function own(movie, signal) {
  const match = movie.viewer?.match;
  const stars = starsChosen(movie.title, (value) => rate(movie, value));
  const toggle = (name, on, off, act) => {
    const label = h("span");
    const button = h("button", { type: "button", class: "quiet", onclick: () => act(button.getAttribute("aria-pressed") !== "true") }, icon(name), label);
    const set = (pressed) => {
      button.setAttribute("aria-pressed", String(pressed));
      label.textContent = pressed ? on : off;
    };
    return { button, set };
  };
  const listed = toggle("bookmark", "On your watchlist", "Watchlist", (on) => watchlist(movie, on));
  const rejected = toggle("hide", "Not recommended to you", "Not interested", (on) => hide(movie, on));
  follow(
    movie.id,
    (marks) => {
      stars.set(marks.stars);
      listed.set(marks.onWatchlist);
      rejected.set(marks.hidden);
    },
    signal,
  );
  return h(
    "div",
    { class: "own" },
    match?.matchPercent === undefined || match.matchPercent === null
      ? null
      : h(
          "div",
          { class: "own-match" },
          h("p", { class: "match match-large" }, matchText(match.matchPercent)),
          match.predictedRating && h("p", { class: "soft" }, expectedText(match.predictedRating)),
          match.reasons.length ? h("ul", { class: "reasons" }, match.reasons.map(({ text, movie: of }) => h("li", null, linked(sentence(text), of)))) : null,
        ),
    h("div", { class: "own-marks" }, h("div", { class: "own-stars" }, h("span", { class: "soft" }, "Your rating"), stars.element), listed.button, rejected.button),
  );
}

// A reason whose movie, if its title is in the text, is a link.
function linked(text, movie) {
  const at = movie ? text.indexOf(movie.title) : -1;
  if (at < 0) return text;
  return [text.slice(0, at), h("a", { href: movieAddress(movie) }, movie.title), text.slice(at + movie.title.length)].map((part) =>
    part instanceof Node ? part : document.createTextNode(part),
  );
}

const invitation = () =>
  h("p", { class: "banner" }, "Join to see how well this movie matches you.", h("a", { class: "button", href: "/join" }, "Join"));

function credits({ directors, collection, keywords, trailerUrl, imdbId }) {
  const row = (name, ...value) => [h("dt", null, name), h("dd", null, ...value)];
  const people = directors.flatMap((person, place) => [place ? ", " : "", h("a", { href: personAddress(person) }, person.name)]);
  const away = { target: "_blank", rel: "noopener noreferrer" };
  return h(
    "dl",
    { class: "facts" },
    directors.length ? row(directors.length > 1 ? "Directors" : "Director", people) : null,
    collection ? row("Series", collection) : null,
    keywords.length ? row("About", keywords.slice(0, MOST_KEYWORDS).join(", ")) : null,
    trailerUrl ? row("Trailer", h("a", { href: trailerUrl, ...away }, "Watch")) : null,
    imdbId ? row("Elsewhere", h("a", { href: `https://www.imdb.com/title/${imdbId}/`, ...away }, "IMDb")) : null,
  );
}

const castOf = (cast) =>
  cast.length
    ? h(
        "section",
        { class: "cast" },
        h("h2", null, "Cast"),
        h(
          "ul",
          { class: "cast-list" },
          cast.map(({ person, character }) =>
            h("li", null, h("a", { href: personAddress(person) }, person.name), character && h("span", { class: "soft" }, character)),
          ),
        ),
      )
    : null;

const ratingsOf = ({ ratingCount, averageRating, ratingHistogram }) =>
  h(
    "section",
    { class: "all-ratings" },
    h("h2", null, "Ratings"),
    ratingCount
      ? [
          h("p", { class: "soft" }, `★ ${averageRating.toFixed(1)} from ${plural(ratingCount, "member")}`),
          histogram(ratingHistogram),
        ]
      : h("p", { class: "soft" }, "No member has rated this movie yet."),
  );
