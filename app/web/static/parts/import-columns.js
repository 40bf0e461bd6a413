// What the columns of an unknown file are: asked for when the service does not know its header.

import { h, newId } from "../core/dom.js";
import { actForm } from "./panel.js";

const MEANINGS = {
  title: ["Title", /title|name|movie|film/i],
  year: ["Year", /year|released/i],
  rating: ["Rating", /rating|stars|score|grade/i],
  ratedAt: ["Date of the rating", /rated.*(at|on|date)|date/i],
  watchedAt: ["Date of watching", /watch|seen/i],
  listedAt: ["Date of listing", /list|added/i],
  originalTitle: ["Original title", /original/i],
  imdbId: ["IMDb id", /imdb|const|tconst/i],
  tmdbId: ["TMDB id", /tmdb/i],
  movielensId: ["MovieLens id", /movielens|movieid/i],
};
const CONTENTS = { "": "As the columns say", WATCHED: "I watched these movies", WATCHLIST: "I want to watch these movies", LIKED: "I like these movies" };
const SCALES = [5, 10, 100];

// The names in the first line of a CSV file; null if it has none, such as an archive.
export function headerOf(text) {
  const [line] = text.replace(/^\uFEFF/, "").split(/\r?\n/, 1);
  if (!line || line.length > 20_000 || line.includes("\0") || /^\s*[[{]/.test(line)) return null;
  const mark = [",", ";", "\t"].sort((one, other) => line.split(other).length - line.split(one).length)[0];
  const names = [];
  for (const found of line.matchAll(mark === "\t" ? /([^\t]*)(\t|$)/g : new RegExp(`\\s*(?:"((?:[^"]|"")*)"|([^${mark}]*))\\s*(${mark}|$)`, "g"))) {
    names.push((found[1]?.replaceAll('""', '"') ?? found[2] ?? "").trim());
    if (!found.at(-1)) break;
  }
  return names.filter(Boolean).length > 1 ? names.filter(Boolean) : null;
}

// A form that sends what the columns are: `send({ columns, ratingScale, contents })`.
export function columnsForm(names, send) {
  const free = new Set(names);
  const chosen = {};
  const fields = Object.entries(MEANINGS).map(([key, [label, pattern]]) => {
    const guess = [...free].find((name) => pattern.test(name)) ?? "";
    free.delete(guess);
    const { element, input } = select(label, { "": "No column", ...Object.fromEntries(names.map((name) => [name, name])) }, guess);
    chosen[key] = input;
    return element;
  });
  const scale = select("Highest possible rating", Object.fromEntries(SCALES.map((value) => [value, String(value)])), "10");
  const contents = select("Rows without a rating", CONTENTS, "");
  const grid = h("div", { class: "columns" }, fields, scale.element, contents.element);
  return actForm("Import with these columns", [grid], (fault) => {
    const columns = Object.fromEntries(Object.entries(chosen).filter(([, { value }]) => value).map(([key, { value }]) => [key, value]));
    if (!["title", "imdbId", "tmdbId", "movielensId"].some((key) => key in columns)) {
      fault.textContent = "Choose the column with the title, or with an id of the movie.";
      return null;
    }
    return send({
      columns,
      ...(columns.rating ? { ratingScale: Number(scale.input.value) } : {}),
      ...(contents.input.value ? { contents: contents.input.value } : {}),
    });
  });
}

export function select(label, choices, value, changed = null) {
  const id = newId("select");
  const input = h("select", { id, onchange: changed && (() => changed(input.value)) }, Object.entries(choices).map(([code, text]) => h("option", { value: code }, text)));
  input.value = value;
  return { element: h("div", { class: "field" }, h("label", { for: id }, label), h("div", { class: "input" }, input)), input };
}
