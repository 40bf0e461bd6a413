// Join, the second step: at least five favorite genres.

import { ask, change } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { navigate } from "../core/router.js";
import { toast } from "../core/toasts.js";
import { busyButton, failed } from "../parts/states.js";
import { steps } from "../parts/steps.js";

const LEAST = 5;

export async function page({ signal }) {
  const { viewer, genres } = await ask("join-genres", {}, { signal });
  const usable = genres.filter(({ movieCount }) => movieCount).sort((one, other) => other.movieCount - one.movieCount);
  const chosen = new Set(viewer.favoriteGenres.map(({ id }) => id));
  const least = Math.min(LEAST, usable.length);
  const counter = h("p", { class: "counter", role: "status" });
  const go = busyButton({ class: "button large" }, "Go on", async () => {
    if (chosen.size < least) return toast(`Choose ${plural(least - chosen.size, "more genre")}.`);
    try {
      await change("choose-genres", { genreIds: [...chosen] });
      await navigate("/join/rate");
    } catch (error) {
      toast(failed("The genres are not stored", error), { error: true });
    }
  });
  const choice = (genre) => {
    const box = h("input", { type: "checkbox", onchange: () => (box.checked ? chosen.add(genre.id) : chosen.delete(genre.id), count()) });
    box.checked = chosen.has(genre.id);
    return h("label", { class: "chip chip-large" }, box, h("span", null, genre.name));
  };
  function count() {
    const left = least - chosen.size;
    counter.textContent = left > 0 ? `${chosen.size} of ${least} chosen` : `${plural(chosen.size, "genre")} chosen`;
    go.classList.toggle("is-off", left > 0);
  }
  count();
  return h(
    "div",
    { class: "page medium" },
    steps(2),
    h("h1", null, "What do you like to watch?"),
    h("p", { class: "lead" }, `Choose at least ${least} genres.`),
    h("fieldset", { class: "chips chips-large" }, h("legend", { class: "hidden-text" }, "Genres"), usable.map(choice)),
    h("div", { class: "go-on" }, counter, go),
  );
}
