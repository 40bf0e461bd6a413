// The search in the header: suggestions while typing, as a combobox. Arrow keys choose, Enter goes there, and
// Enter without a choice goes to all results. A newer text aborts the request of an older one.

import { ask } from "./api.js";
import { debounced, h, icon, plural } from "./dom.js";
import { navigate, onNavigate } from "./router.js";
import { movieAddress, personAddress } from "../parts/card.js";

const PAUSE_MS = 120;
const SHORTEST = 2;

export function searchBox() {
  const list = h("div", { id: "suggestions", class: "suggestions", role: "listbox", "aria-label": "Suggestions", hidden: true });
  const input = h("input", {
    type: "search",
    name: "q",
    placeholder: "Movies and people",
    "aria-label": "Search",
    role: "combobox",
    autocomplete: "off",
    maxlength: 200,
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": "suggestions",
    onkeydown: (event) => key(event),
    oninput: () => typed(),
    onfocus: () => list.childElementCount && input.value && open(),
  });
  const status = h("p", { class: "hidden-text", role: "status" });
  const form = h("form", { class: "search", role: "search", onsubmit: (event) => submit(event) }, icon("search"), input, list, status);
  let request = null;
  let active = -1;

  const options = () => [...list.querySelectorAll("[role=option]")];
  const suggest = debounced(async () => {
    const text = input.value.trim();
    request?.abort();
    if (text.length < SHORTEST) return close();
    const own = (request = new AbortController());
    try {
      const answer = await ask("suggest", { text }, { signal: own.signal });
      if (document.activeElement === input) show(answer, text);
    } catch {
      if (!own.signal.aborted) close(); // the search page shows the fault
    }
  }, PAUSE_MS);

  function typed() {
    if (input.value.trim()) suggest();
    else close();
  }
  function show({ search, searchPeople }, text) {
    const movies = search.nodes.map((movie, place) =>
      option(movieAddress(movie), place, h("img", { src: movie.posterUrl, alt: "", width: 32, height: 48 }), movie.title, [movie.year, movie.directors[0]?.name].filter(Boolean).join(" · ")),
    );
    const people = searchPeople.nodes.map((person, place) =>
      option(personAddress(person), movies.length + place, icon("person"), person.name, person.movies.nodes.map(({ title }) => title).join(", ")),
    );
    const all = option(allResults(text), movies.length + people.length, icon("search"), `All results for “${text}”`, plural(search.totalCount, "movie"));
    list.replaceChildren(...movies, ...people, all);
    active = -1;
    input.removeAttribute("aria-activedescendant");
    status.textContent = `${movies.length + people.length} suggestions`;
    open();
  }
  function option(path, place, picture, name, more) {
    return h(
      "div",
      { id: `suggestion-${place}`, role: "option", "aria-selected": "false", "data-path": path, onpointerdown: (event) => event.preventDefault(), onclick: () => go(path) },
      h("span", { class: "suggestion-picture" }, picture),
      h("span", { class: "suggestion-text" }, h("b", null, name), h("span", { class: "soft" }, more)),
    );
  }
  function open() {
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  }
  function close() {
    request?.abort();
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }
  function key(event) {
    const all = list.hidden ? [] : options();
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && !list.hidden) {
      event.preventDefault(); // else the text is cleared too
      close();
    } else if (way && all.length) {
      event.preventDefault();
      active = (active + way + all.length + (active < 0 && way < 0 ? 1 : 0)) % all.length;
      all.forEach((each, place) => each.setAttribute("aria-selected", String(place === active)));
      input.setAttribute("aria-activedescendant", all[active].id);
      all[active].scrollIntoView({ block: "nearest" });
    }
  }
  function submit(event) {
    event.preventDefault();
    const chosen = list.hidden ? null : options()[active];
    const text = input.value.trim();
    if (chosen) go(chosen.dataset.path);
    else go(text ? allResults(text) : "/search");
  }
  function go(path) {
    close();
    list.replaceChildren();
    navigate(path);
  }
  form.addEventListener("focusout", ({ relatedTarget }) => form.contains(relatedTarget) || close());
  onNavigate(({ page, query }) => (input.value = page === "search" ? (query.get("q") ?? "") : ""));
  return form;
}

const allResults = (text) => `/search?q=${encodeURIComponent(text)}`;
