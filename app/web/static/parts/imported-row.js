// A row of an import: what the file says, the movie that it was matched to, and its correction.

import { change } from "../core/api.js";
import { h } from "../core/dom.js";
import { toast } from "../core/toasts.js";
import { movieAddress } from "./card.js";
import { moviePicker, thumbnail, yearAndDirectors } from "./movie-picker.js";
import { busyButton, problem } from "./states.js";

const HOW = { ID: "By id", TITLE_AND_YEAR: "By title and year", TITLE_AND_NEAR_YEAR: "Other year" };

// Take back what the row stored of its movie.
function remove({ movie, stars }) {
  if (stars !== null) return change("remove-rating", { movieId: movie.id });
  if (movie.viewer?.onWatchlist) return change("remove-from-watchlist", { movieId: movie.id });
  return change("remove-feedback", { movieId: movie.id, kinds: ["WATCH", "LIKE"] });
}

// Store of another movie what the row says: its stars, or its place on the watchlist.
const store = ({ stars }, movie) =>
  stars !== null ? change("rate", { movieId: movie.id, stars }) : change("record", { events: [{ movieId: movie.id, kind: "WATCHLIST" }] });

export function importedRow(row, signal) {
  const item = h("li", { class: "imported" });
  const work = h("div");
  let movie = row.movie;
  let how = HOW[row.matchedBy];
  const movable = row.stars !== null || Boolean(row.movie?.viewer?.onWatchlist);

  async function run(act, done) {
    work.replaceChildren();
    try {
      await act();
      done();
    } catch (error) {
      work.replaceChildren(problem(error));
    }
  }
  const take = (other) =>
    run(
      async () => {
        if (other.id === movie.id) return;
        await store(row, other);
        await remove({ ...row, movie: { ...movie, viewer: row.movie.viewer } });
      },
      () => {
        movie = { ...other, viewer: row.movie.viewer };
        how = "Corrected";
        draw();
        toast(`${row.named} is ${other.title} now.`);
      },
    );
  function correct() {
    if (work.childElementCount) return work.replaceChildren();
    const picker = moviePicker(`Which movie is “${row.named}”?`, take, { text: row.named.replace(/\s*\(\d{4}\)\s*$/, ""), verb: "This one", signal });
    work.replaceChildren(picker.element);
    picker.input.focus();
  }
  const drop = () =>
    run(
      () => remove({ ...row, movie }),
      () => {
        item.replaceChildren(h("p", { class: "soft", tabindex: "-1" }, `${row.named} is removed.`));
        item.firstChild.focus();
      },
    );
  function draw() {
    work.replaceChildren();
    item.replaceChildren(
      h(
        "div",
        { class: "line" },
        movie && thumbnail(movie),
        h(
          "div",
          { class: "line-text" },
          h("b", null, movie ? h("a", { href: movieAddress(movie) }, movie.title) : row.named, h("span", { class: row.matchedBy === "TITLE_AND_NEAR_YEAR" && how !== "Corrected" ? "badge badge-bad" : "badge" }, how)),
          h("span", { class: "soft" }, [movie && yearAndDirectors(movie), row.stars !== null && `★ ${row.stars}`].filter(Boolean).join(" · ")),
          h("span", { class: "soft" }, `In the file, line ${row.line}: ${row.named}`),
        ),
        movie &&
          h(
            "div",
            { class: "line-acts" },
            movable && h("button", { type: "button", class: "quiet", "aria-label": `Correct ${row.named}`, onclick: correct }, "Correct"),
            busyButton({ class: "quiet", "aria-label": `Remove ${row.named}` }, "Remove", drop),
          ),
      ),
      work,
    );
  }
  draw();
  return item;
}
