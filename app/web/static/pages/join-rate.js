// Join, the third step: rate movies. Five are enough for a list; each more makes it better.

import { ask } from "../core/api.js";
import { h } from "../core/dom.js";
import { follow, learn, onChange, marksOf, rate } from "../core/marks.js";
import { poster } from "../parts/card.js";
import { starsChosen } from "../parts/stars.js";
import { busyButton, empty, problem } from "../parts/states.js";
import { steps } from "../parts/steps.js";

const ENOUGH = 5;

export async function page({ signal }) {
  const { viewer, onboarding } = await ask("join-movies", {}, { signal });
  const earlier = viewer.ratings.totalCount;
  const rated = new Set();
  const grid = h("ul", { class: "grid grid-rate" });
  const counter = h("p", { class: "counter", role: "status" });
  const go = h("a", { class: "button large", href: "/for-you" }, "Show my list");
  const foot = h("div", { class: "more" });
  let { pageInfo } = onboarding;

  const add = ({ nodes }) => {
    const items = nodes.map((movie) => rateable(movie, signal));
    grid.append(...items);
    return items;
  };
  const more = busyButton({ class: "quiet large" }, "Show more", async () => {
    foot.querySelector(".problem")?.remove();
    try {
      const { onboarding: next } = await ask("join-movies", { after: pageInfo.endCursor }, { signal });
      ({ pageInfo } = next);
      const [first] = add(next);
      first?.querySelector("input, button")?.focus({ preventScroll: true });
      more.hidden = !pageInfo.hasNextPage;
    } catch (error) {
      if (!signal.aborted) foot.append(problem(error));
    }
  });
  function count() {
    const number = earlier + rated.size;
    counter.textContent =
      number < ENOUGH ? `${number} of ${ENOUGH} rated` : `${number.toLocaleString("en")} rated. More make it better.`;
    go.hidden = number < ENOUGH;
  }
  onChange((id) => {
    if (marksOf(id).stars === null) rated.delete(id);
    else rated.add(id);
    count();
  }, signal);
  add(onboarding);
  more.hidden = !pageInfo.hasNextPage;
  foot.append(more);
  count();
  return h(
    "div",
    { class: "page" },
    steps(3),
    h("h1", null, "Rate what you have seen"),
    h("p", { class: "lead" }, `Rate at least ${ENOUGH} movies. Half stars count.`),
    onboarding.nodes.length ? grid : empty("There are no more movies to rate.", h("a", { class: "button", href: "/for-you" }, "Show my list")),
    foot,
    h("div", { class: "go-on" }, counter, go),
  );
}

// A poster with stars, and a button for a movie that the member has not seen.
function rateable(movie, signal) {
  learn(movie);
  const stars = starsChosen(movie.title, (value) => rate(movie, value, { quietly: true }), { clearable: false });
  const unseen = h(
    "button",
    { type: "button", class: "bare", onclick: () => (marksOf(movie.id).stars === null ? skip() : rate(movie, null, { quietly: true })) },
  );
  const item = h(
    "li",
    { class: "card" },
    poster(movie, { eager: true }),
    h("h2", { class: "card-title" }, movie.title),
    h("p", { class: "card-facts" }, [movie.year, movie.directors.map(({ name }) => name).join(", ")].filter(Boolean).join(" · ")),
    h("div", { class: "rate-row" }, stars.element, unseen),
  );
  const skip = () => unseen.setAttribute("aria-pressed", String(item.classList.toggle("is-skipped")));
  follow(
    movie.id,
    (marks) => {
      stars.set(marks.stars);
      item.classList.toggle("is-rated", marks.stars !== null);
      unseen.textContent = marks.stars === null ? "Not seen" : "Clear";
      unseen.setAttribute("aria-label", `${unseen.textContent}: ${movie.title}`);
      if (marks.stars === null) return unseen.setAttribute("aria-pressed", String(item.classList.contains("is-skipped")));
      item.classList.remove("is-skipped");
      unseen.removeAttribute("aria-pressed");
    },
    signal,
  );
  return item;
}
