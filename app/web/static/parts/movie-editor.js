// The form of a movie's facts.

import { h } from "../core/dom.js";
import { field } from "./account-form.js";
import { actForm } from "./panel.js";

const names = (nodes) => (nodes ?? []).map(({ name }) => name);
const parted = (text, by) => text.split(by).map((each) => each.trim()).filter(Boolean);
const text = { shown: (value) => value ?? "", read: (given) => given || null };
const number = { ...text, limits: { inputmode: "numeric", maxlength: 4 }, read: (given) => (given ? Number(given) : null), rule: (given) => (/^\d*$/.test(given) ? "" : "Enter a whole number.") };
const day = { ...text, rule: (given) => (/^(\d{4}-\d{2}-\d{2})?$/.test(given) ? "" : "Enter a day such as 1999-03-31.") };
const commas = { shown: (value) => (value ?? []).join(", "), read: (given) => parted(given, ",") };
const lines = { shown: (value) => (value ?? []).join("\n"), read: (given) => parted(given, "\n"), limits: { rows: 4 } };
const json = { shown: (value) => (Object.keys(value ?? {}).length ? JSON.stringify(value, null, 2) : ""), read: (given) => (given ? JSON.parse(given) : {}), rule: objectRule, limits: { rows: 4 } };

function objectRule(given) {
  try {
    const value = JSON.parse(given || "{}");
    if (value && typeof value === "object" && !Array.isArray(value)) return "";
  } catch {
    // The message below says it.
  }
  return 'Enter an object of JSON such as {"shelf": "A3"}.';
}

// [name in the input of the mutation, label, kind, value of a movie, hint]
const FIRST = [
  ["title", "Title", { ...text, limits: { maxlength: 300, required: true }, rule: (given) => (given ? "" : "Enter the title.") }],
  ["year", "Year", number],
  ["genres", "Genres", commas, (movie) => names(movie.genres), "With commas between."],
  ["runtimeMinutes", "Minutes", number],
  ["directors", "Directors", lines, (movie) => names(movie.directors), "One on each line."],
  ["overview", "Overview", { ...text, limits: { rows: 4 } }],
];
const MORE = [
  ["originalTitle", "Original title", text],
  ["releaseDate", "First release", day, null, "Such as 1999-03-31. It decides the year."],
  ["originalLanguage", "Language", text, null, "Its code, such as en."],
  ["countries", "Countries", commas, null, "Their codes, such as FR, with commas between."],
  ["collection", "Collection", text],
  ["certification", "Certification", text, null, "Such as PG-13."],
  ["tagline", "Tagline", text],
  ["cast", "Cast", lines, (movie) => (movie.cast ?? []).map(({ person }) => person.name), "One on each line."],
  ["keywords", "Keywords", lines, null, "One on each line."],
  ["posterPath", "Poster", text, ({ posterUrl }) => (posterUrl?.includes("/poster/") ? null : posterUrl), "An https address, or TMDB's path."],
  ["backdropPath", "Wide picture", text, ({ backdropUrl }) => backdropUrl, "An https address, or TMDB's path."],
  ["trailerUrl", "Trailer", text, null, "An https address."],
  ["imdbId", "IMDb id", text, null, "Such as tt0133093."],
  ["tmdbId", "TMDB id", text],
  ["movielensId", "MovieLens id", text],
  ["attributes", "Further facts", json, null, "An object of JSON."],
];

// Calls `act` with the facts that differ from `movie`, by their names in the API.
export function movieEditor(movie, label, act) {
  const made = (specs) => specs.map((spec) => fieldOf(spec, movie));
  const [first, more] = [made(FIRST), made(MORE)];
  const fields = [...first, ...more];
  const further = h("details", { class: "disclosure" }, h("summary", { class: "quiet" }, "More facts"), columns(more));
  return actForm(label, [columns(first), further], (fault) => {
    for (const each of fields) each.fault("");
    const wrong = fields.find((each) => each.rule());
    if (wrong) {
      further.open ||= more.includes(wrong); // a closed field takes no focus
      return wrong.fault(wrong.rule());
    }
    const changed = fields.filter((each) => each.isChanged()).map((each) => [each.name, each.read()]);
    if (!changed.length) return void (fault.textContent = "Nothing is changed yet.");
    return act(Object.fromEntries(changed));
  });
}

const columns = (fields) => h("div", { class: "columns" }, fields.map(({ element }) => element));

function fieldOf([name, label, kind, value, hint], movie) {
  const before = kind.shown(value ? value(movie) : movie[name]);
  const { element, input, fault } = field(name, label, { required: false, ...kind.limits }, hint);
  input.value = before;
  const given = () => input.value.trim();
  return { name, element, fault, rule: () => kind.rule?.(given()), read: () => kind.read(given()), isChanged: () => given() !== before.trim() };
}
