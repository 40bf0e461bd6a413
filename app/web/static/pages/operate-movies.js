// Movies: find one to edit, hide or delete; add one.

import { ask, change } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { navigate } from "../core/router.js";
import { session } from "../core/session.js";
import { toast } from "../core/toasts.js";
import { field } from "../parts/account-form.js";
import { movieAddress } from "../parts/card.js";
import { thumbnail, yearAndDirectors } from "../parts/movie-picker.js";
import { badge, operateHead } from "../parts/operate.js";
import { movieEditor } from "../parts/movie-editor.js";
import { panel, sureButton } from "../parts/panel.js";
import { busyButton, empty, problem } from "../parts/states.js";

export async function page({ query, signal, reload }) {
  const text = query.get("q")?.trim() ?? "";
  const { search, hiddenMovies, movies } = await ask("edit-movies", { text, found: Boolean(text) }, { signal });
  const hidden = new Set(hiddenMovies.nodes.map(({ id }) => id));
  const wanted = field("q", "Find a movie", { type: "search", value: text, maxlength: 200, autocomplete: "off" });
  const find = (event) => {
    event.preventDefault();
    navigate(`/operate/movies?q=${encodeURIComponent(wanted.input.value.trim())}`);
  };
  const lines = (nodes) => h("ul", { class: "lines" }, nodes.map((movie) => line(movie, hidden.has(movie.id))));
  return h(
    "div",
    { class: "page" },
    operateHead("Movies", `${plural(movies.totalCount, "movie")} in the catalog.`),
    h("form", { class: "form wide-form", onsubmit: find }, wanted.element, h("p", { class: "row" }, h("button", { type: "submit", class: "button" }, "Find"))),
    search && panel(`Results for “${text}”`, search.nodes.length ? lines(search.nodes) : empty("No movie has this name.")),
    panel("Add a movie", h("p", { class: "soft" }, "It is in searches and lists at once, without a training."),
      h("details", { class: "disclosure" }, h("summary", { class: "quiet" }, "Add a movie"), movieEditor({}, "Add the movie", async (given) => {
        const { movie } = await change("add-movie", given);
        toast(`${movie.title} is added.`);
        await navigate(`/operate/movies?q=${encodeURIComponent(movie.title)}`);
      }))),
    panel("Hidden movies", hiddenMovies.nodes.length ? lines(hiddenMovies.nodes) : h("p", { class: "soft" }, "No movie is hidden. A hidden movie is in no list; its page stays.")),
  );

  function line(movie, isHidden) {
    const work = h("div");
    const run = async (act, done) => {
      work.replaceChildren();
      try {
        await act();
        toast(done);
        await reload();
      } catch (error) {
        work.replaceChildren(problem(error));
      }
    };
    const edit = async () => {
      if (work.childElementCount) return work.replaceChildren();
      try {
        const facts = (await ask("movie-facts", { id: movie.id }, { signal })).movie;
        const store = async (given) => {
          await change("update-movie", { movieId: movie.id, ...given });
          toast(`${given.title ?? movie.title} is changed.`);
          await reload();
        };
        work.replaceChildren(h("div", { class: "picker" }, movieEditor(facts, "Store the changes", store)));
        work.querySelector("input").focus();
      } catch (error) {
        work.replaceChildren(problem(error));
      }
    };
    const hide = () => run(() => change("hide-movie", { movieId: movie.id, hidden: !isHidden }), isHidden ? `${movie.title} is shown again.` : `${movie.title} is hidden.`);
    const mayDelete = session()?.role === "ADMIN" || session()?.role === "CURATOR";
    return h(
      "li",
      { class: "imported" },
      h(
        "div",
        { class: "line" },
        thumbnail(movie),
        h("div", { class: "line-text" }, h("b", null, h("a", { href: movieAddress(movie) }, movie.title), isHidden && badge("Hidden")), h("span", { class: "soft" }, [yearAndDirectors(movie), movie.genres.map(({ name }) => name).join(", ")].filter(Boolean).join(" · "))),
        h(
          "div",
          { class: "line-acts" },
          busyButton({ class: "quiet", "aria-label": `Edit ${movie.title}` }, "Edit", edit),
          busyButton({ class: "quiet", "aria-label": `${isHidden ? "Show" : "Hide"} ${movie.title}` }, isHidden ? "Show" : "Hide", hide),
          mayDelete && sureButton("Delete", `Delete ${movie.title}?`, () => run(() => change("delete-movie", { movieId: movie.id }), `${movie.title} is deleted.`)),
        ),
      ),
      work,
    );
  }
}
