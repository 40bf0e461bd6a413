// What the member did with movies, newest first: watched, put on the watchlist, liked, rejected.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { movieCard } from "../parts/card.js";
import { choice, mineHead } from "../parts/mine-tabs.js";
import { empty } from "../parts/states.js";
import { tunable } from "../parts/tunable.js";

const ALL = "ALL";
const KINDS = { [ALL]: "Everything", WATCH: "Watched", WATCHLIST: "Watchlist", LIKE: "Liked", DISLIKE: "Disliked", NOT_INTERESTED: "Not interested" };
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

async function find(query, after, signal) {
  const kind = query.get("kind") ?? ALL;
  const kinds = kind === ALL || !(kind in KINDS) ? Object.keys(KINDS).slice(1) : [kind];
  const { viewer } = await ask("history", { after, kinds }, { signal });
  return { ...viewer.history, items: viewer.history.nodes };
}

const happened = ({ kind, occurredAt, watchedFraction }) => {
  const share = kind === "WATCH" && watchedFraction !== null ? ` ${Math.round(100 * watchedFraction)}%` : "";
  return `${KINDS[kind]}${share}, ${date.format(new Date(occurredAt))}`;
};

export async function page({ query, signal }) {
  const count = h("p", { class: "soft", role: "status" });
  const show = ({ totalCount }) => (count.textContent = plural(totalCount, "event"));
  const list = await tunable(query, (after, of) => find(query, after, of), {
    signal,
    show,
    item: (event, place) => movieCard(event.movie, { edge: { reasons: [{ text: happened(event) }] }, heading: "h2", eager: place < 12, long: true, signal }),
    none: () => empty("Nothing has happened yet. What you watch, keep or reject is listed here."),
  });
  show(list.first);
  return h("div", { class: "page", "data-title": "My history" }, mineHead("My history", h("div", { class: "list-head" }, count, choice("Show", "kind", KINDS, query, list.load))), list.element);
}
