// Filters of a list, with the number of movies that each choice leaves. They are in the address, so that a
// filtered list can be linked and reloaded.

import { h, icon, newId } from "../core/dom.js";

const WIDE = "(min-width: 900px)";
const languageNames = new Intl.DisplayNames("en", { type: "language", fallback: "code" });

// The filter of an address, as the API takes it; null for none.
export function filterOf(query) {
  const decade = Number(query.get("decade")) || null;
  const filter = {
    ...(query.has("genre") ? { genres: query.getAll("genre") } : {}),
    ...(query.has("without") ? { excludeGenres: query.getAll("without") } : {}),
    ...(decade ? { yearFrom: decade, yearTo: decade + 9 } : {}),
    ...(query.has("language") ? { languages: [query.get("language")] } : {}),
  };
  return Object.keys(filter).length ? filter : null;
}

// `changed` is called after each choice, with `query` changed. Returns the element, and `show`, which shows
// the facets of an answer. `first`: controls above the filters.
export function filters(query, changed, { name = "Tune and filter", first = null } = {}) {
  const genres = h("fieldset", { class: "chips" });
  const decade = select("Decade", "Any decade", (value) => put("decade", value));
  const language = select("Language", "Any language", (value) => put("language", value));
  const clear = h("button", { type: "button", class: "bare", onclick: () => reset() }, "Clear all filters");
  const element = h(
    "details",
    { class: "filters", open: matchMedia(WIDE).matches },
    h("summary", null, icon("sliders"), name),
    h("div", { class: "filters-body" }, first, genres, decade.element, language.element, clear),
  );
  let shown = null;

  function put(name, value) {
    if (value) query.set(name, value);
    else query.delete(name);
    changed();
  }
  function reset() {
    for (const name of ["genre", "without", "decade", "language"]) query.delete(name);
    changed();
  }
  function choose(genre, on) {
    const left = query.getAll("genre").filter((each) => each !== genre);
    query.delete("genre");
    for (const each of on ? [...left, genre] : left) query.append("genre", each);
    changed();
  }
  const chip = ({ genre: { name }, count }) => {
    const box = h("input", { type: "checkbox", value: name, onchange: () => choose(name, box.checked) });
    box.checked = query.getAll("genre").includes(name);
    return h("label", { class: "chip" }, box, h("span", null, name, h("small", null, count.toLocaleString("en"))));
  };
  function show(facets) {
    const focused = document.activeElement?.closest?.(".filters .chip")?.querySelector("input").value;
    const order = (shown ??= facets.genres.map(({ genre }) => genre.name));
    const place = ({ genre }) => order.indexOf(genre.name) >>> 0; // the chips keep their places; new ones are last
    const chips = [...facets.genres].sort((one, other) => place(one) - place(other)).map(chip);
    genres.replaceChildren(h("legend", null, "Genres"), ...chips);
    decade.show(facets.decades.map(({ decade: year, count }) => [String(year), `${year}s`, count]), query.get("decade"));
    language.show(facets.languages.map(({ language: code, count }) => [code, languageNames.of(code), count]), query.get("language"));
    clear.hidden = !filterOf(query);
    if (focused) genres.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus();
  }
  return { element, show };
}

function select(label, any, chosen) {
  const id = newId("select");
  const input = h("select", { id, onchange: () => chosen(input.value) });
  const show = (choices, value) => {
    const known = value && !choices.some(([code]) => code === value) ? [[value, value, 0], ...choices] : choices;
    input.replaceChildren(
      h("option", { value: "" }, any),
      ...known.map(([code, name, count]) => h("option", { value: code }, `${name} (${count.toLocaleString("en")})`)),
    );
    input.value = value ?? "";
  };
  return { element: h("div", { class: "field" }, h("label", { for: id }, label), h("div", { class: "input" }, input)), show };
}

// A slider from 0 to 1 whose ends have names.
export function slider(label, [low, high], value, chosen) {
  const id = newId("slider");
  const input = h("input", { id, type: "range", min: 0, max: 1, step: 0.1, onchange: () => chosen(Number(input.value)) });
  input.value = value;
  return h(
    "div",
    { class: "field slider" },
    h("label", { for: id }, label),
    input,
    h("p", { class: "slider-ends", "aria-hidden": "true" }, h("span", null, low), h("span", null, high)),
  );
}
