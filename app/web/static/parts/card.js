// A movie in a list: poster, title, match, and what the member can do with it.

import { h, icon } from "../core/dom.js";
import { follow, hide, learn, rate, watchlist } from "../core/marks.js";
import { watch } from "../core/seen.js";
import { session } from "../core/session.js";
import { starsChosen } from "./stars.js";

export const movieAddress = ({ id }) => `/movie/${encodeURIComponent(id)}`;

// A poster. Its text is the title beside it. One that cannot be loaded leaves its title on a plain ground.
export function poster(movie, { eager = false } = {}) {
  const image = h("img", {
    src: movie.posterUrl,
    alt: "",
    width: 500,
    height: 750,
    loading: eager ? "eager" : "lazy",
    decoding: "async",
    onerror: () => image.replaceWith(h("span", { class: "no-poster", "aria-hidden": "true" }, movie.title)),
  });
  return h("span", { class: "poster" }, image);
}

export const personAddress = ({ id }) => `/person/${encodeURIComponent(id)}`;

// A reason as a sentence.
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

const mean = (stars) => (stars === null || stars === undefined ? null : `★ ${stars.toFixed(1)}`);

export const facts = (movie) => [movie.year, mean(movie.averageRating)].filter(Boolean).join(" · ");

export const matchText = (percent) => (percent === null || percent === undefined ? null : `${percent}% match`);

// The stars that the member would give, and the range in which they lie in eight of ten cases.
export const expectedText = ({ stars, low, high }) => `Expected ★ ${stars.toFixed(1)} · ${low.toFixed(1)}–${high.toFixed(1)}`;

// A card. `edge`: of a list, with the match, the predicted stars and the reasons that the card shows. `requestId`
// and `position`: the list that the service made, and the place in it from 0.
export function movieCard(movie, { edge = {}, requestId = null, position = null, heading = "h3", eager = false, signal, long = false, stars = false } = {}) {
  learn(movie);
  const of = { id: movie.id, title: movie.title, requestId };
  const reason = edge.reasons?.[0];
  const range = edge.predictedRating;
  const card = h(
    "article",
    { class: "card" },
    poster(movie, { eager }),
    h(heading, { class: "card-title" }, h("a", { href: movieAddress(movie) }, movie.title)),
    h("p", { class: "card-facts" }, facts(movie)),
    matchText(edge.matchPercent) && h("p", { class: "match" }, matchText(edge.matchPercent)),
    long && range && h("p", { class: "card-facts" }, expectedText(range)),
    long && reason && h("p", { class: "reason" }, sentence(reason.text)),
    session() && actions(of, signal, stars),
  );
  watch(card, { id: movie.id, requestId, position }, signal);
  return card;
}

// The buttons of a card. The stars take their place while a rating is chosen; with `open` they are there already.
function actions(movie, signal, open) {
  const row = h("div", { class: "card-actions" });
  const stars = starsChosen(movie.title, (value) => {
    rate(movie, value);
    leave();
  });
  const button = (name, label, act) =>
    h("button", { type: "button", class: "round", "aria-label": `${label}: ${movie.title}`, title: label, onclick: act }, icon(name));
  const rating = button("star", "Rate", () => enter());
  const listed = button("bookmark", "Watchlist", () => watchlist(movie, listed.getAttribute("aria-pressed") !== "true"));
  const rejected = button("hide", "Not interested", () => hide(movie, rejected.getAttribute("aria-pressed") !== "true"));
  const back = h("button", { type: "button", class: "bare", "aria-label": "Close the stars", onclick: () => leave() }, icon("close"));

  function enter() {
    row.replaceChildren(stars.element, back);
    (stars.element.querySelector("input:checked") ?? stars.element.querySelector("input")).focus();
  }
  function leave() {
    const inside = row.contains(document.activeElement);
    row.replaceChildren(...(open ? [stars.element] : [rating, listed, rejected]));
    if (inside) rating.focus();
  }
  row.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && row.contains(back)) leave();
  });
  follow(
    movie.id,
    (marks) => {
      stars.set(marks.stars);
      rating.classList.toggle("is-on", marks.stars !== null);
      rating.setAttribute("aria-label", marks.stars === null ? `Rate: ${movie.title}` : `Rated ${marks.stars}: ${movie.title}`);
      rating.replaceChildren(icon("star"), marks.stars === null ? "" : String(marks.stars));
      listed.setAttribute("aria-pressed", String(marks.onWatchlist));
      rejected.setAttribute("aria-pressed", String(marks.hidden));
      row.parentElement?.classList.toggle("is-hidden", marks.hidden);
    },
    signal,
  );
  leave();
  queueMicrotask(() => row.parentElement?.classList.toggle("is-hidden", rejected.getAttribute("aria-pressed") === "true"));
  return row;
}
