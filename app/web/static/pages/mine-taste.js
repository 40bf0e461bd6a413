// The member's taste: genres, decades and people, above or below the member's mean.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { personAddress } from "../parts/card.js";
import { leanings } from "../parts/charts.js";
import { mineHead } from "../parts/mine-tabs.js";
import { empty } from "../parts/states.js";

const rated = (count) => plural(count, "rating");

export async function page({ signal }) {
  const { viewer } = await ask("taste", {}, { signal });
  const { genres, decades, people } = viewer.taste;
  const note = h("p", { class: "lead" }, `From ${plural(viewer.ratings.totalCount, "rating")}. The bars tell how many stars above or below your mean.`);
  const shown = genres.filter(({ ratingCount }) => ratingCount);
  const charts = [
    ["Genres", shown.map(({ genre, affinity, ratingCount }) => ({ name: h("a", { href: `/for-you?genre=${encodeURIComponent(genre.name)}` }, genre.name), value: affinity, note: rated(ratingCount) }))],
    ["Decades", [...decades].sort((one, other) => one.decade - other.decade).map(({ decade, affinity, ratingCount }) => ({ name: h("a", { href: `/for-you?decade=${decade}` }, `${decade}s`), value: affinity, note: rated(ratingCount) }))],
    ["People", people.map(({ person, affinity, ratingCount }) => ({ name: h("a", { href: personAddress(person) }, person.name), value: affinity, note: rated(ratingCount) }))],
  ];
  return h(
    "div",
    { class: "page", "data-title": "My taste" },
    mineHead("My taste", shown.length ? note : null),
    shown.length
      ? h("div", { class: "charts" }, charts.map(([title, rows]) => h("section", null, h("h2", null, title), rows.length ? leanings(title, rows) : h("p", { class: "soft" }, "Rate a few more movies to see this."))))
      : empty("Rate some movies to see your taste here.", h("a", { class: "button", href: "/join/rate" }, "Rate movies")),
  );
}
