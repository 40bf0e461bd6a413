// A search for one movie, whose results are buttons. A newer text aborts the request of an older one.

import { ask } from "../core/api.js";
import { debounced, h, newId } from "../core/dom.js";
import { problem } from "./states.js";

const PAUSE_MS = 200;
const SHORTEST = 2;

export const thumbnail = (movie) =>
  h("span", { class: "thumbnail" }, h("img", { src: movie.posterUrl, alt: "", width: 40, height: 60, loading: "lazy" }));

export const yearAndDirectors = (movie) => [movie.year, movie.directors?.map(({ name }) => name).join(", ")].filter(Boolean).join(" · ");

// `chosen` is called with the movie. `text`: what is searched for at first.
export function moviePicker(label, chosen, { text = "", verb = "Choose", signal }) {
  const id = newId("picker");
  const results = h("ul", { class: "lines", "aria-live": "polite" });
  const input = h("input", { id, type: "search", maxlength: 200, autocomplete: "off", value: text, oninput: () => later() });
  let request = null;
  async function find() {
    request?.abort();
    const wanted = input.value.trim();
    if (wanted.length < SHORTEST) return results.replaceChildren();
    const mine = (request = new AbortController());
    try {
      const { search } = await ask("find-movies", { text: wanted }, { signal: AbortSignal.any([mine.signal, signal]) });
      results.replaceChildren(...(search.nodes.length ? search.nodes.map(result) : [h("li", { class: "soft" }, "No movie has this name.")]));
    } catch (error) {
      if (!mine.signal.aborted && !signal.aborted) results.replaceChildren(h("li", null, problem(error, find)));
    }
  }
  const later = debounced(find, PAUSE_MS);
  const result = (movie) =>
    h(
      "li",
      { class: "line" },
      thumbnail(movie),
      h("span", { class: "line-text" }, h("b", null, movie.title), h("span", { class: "soft" }, yearAndDirectors(movie))),
      h("button", { type: "button", class: "quiet", "aria-label": `${verb}: ${movie.title}, ${movie.year ?? "year unknown"}`, onclick: () => chosen(movie) }, verb),
    );
  if (text) find();
  const element = h("div", { class: "picker" }, h("div", { class: "field" }, h("label", { for: id }, label), h("div", { class: "input" }, input)), results);
  return { element, input };
}
