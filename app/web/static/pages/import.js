// Import: a file of another service; then how each row was matched, doubtful rows first, to confirm or correct.

import { change } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { columnsForm, headerOf } from "../parts/import-columns.js";
import { importedRow } from "../parts/imported-row.js";
import { panel, table } from "../parts/panel.js";
import { problem } from "../parts/states.js";

const MOST_BYTES = 2_999_000; // 4,000,000 characters in Base64
const SERVICES = "Letterboxd, IMDb, Trakt, MovieLens, Simkl, TMDB, Netflix, Plex or Jellyfin";
const NAMES = { LETTERBOXD: "Letterboxd", IMDB: "IMDb", TRAKT: "Trakt", MOVIELENS: "MovieLens", SIMKL: "Simkl", TMDB: "TMDB", NETFLIX: "Netflix", PLEX: "Plex", JELLYFIN: "Jellyfin" };

export async function page({ signal }) {
  const work = h("div", { class: "stack" });
  const status = h("p", { class: "hidden-text", role: "status" });
  const pick = h("input", { type: "file", class: "hidden-text", id: "import-file", accept: ".csv,.json,.zip,.txt,.tsv,.gz,.bz2", onchange: () => take(pick.files[0]) });
  const zone = h(
    "div",
    { class: "drop", ondragover: (event) => hover(event, true), ondragleave: (event) => hover(event, false), ondrop: (event) => dropped(event) },
    h("p", { class: "drop-title" }, "Drop a file here"),
    h("p", { class: "soft" }, `An export of ${SERVICES}, as CSV, JSON or zip; or any CSV. At most 3 MB.`),
    pick,
    h("label", { class: "button large", for: "import-file" }, "Choose a file"),
  );
  let running = false;

  function hover(event, on) {
    event.preventDefault();
    zone.classList.toggle("is-over", on);
  }
  function dropped(event) {
    hover(event, false);
    take(event.dataTransfer.files[0]);
  }
  async function take(file) {
    pick.value = "";
    if (!file || running) return;
    if (!file.size) return refuse(`${file.name} is empty. Choose another file.`);
    if (file.size > MOST_BYTES) {
      return refuse(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB; at most 3 MB can be sent. Pack it as a zip archive, or split it.`);
    }
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      await send(file.name, bytes, {});
    } catch (error) {
      refuse(`${file.name} cannot be read: ${error.message}`);
    }
  }
  const refuse = (text) => work.replaceChildren(h("div", { class: "problem", role: "alert" }, h("p", null, text)));

  async function send(name, bytes, more) {
    running = true;
    zone.setAttribute("aria-busy", "true");
    status.textContent = `Importing ${name}`;
    work.replaceChildren(h("div", { class: "panel" }, h("p", null, `Matching the rows of ${name} to movies …`), h("progress", { "aria-label": "Import" })));
    try {
      const result = await change("import", { file: base64(bytes), ...more });
      work.replaceChildren(...report(name, result, signal));
      status.textContent = `${name} is imported.`;
      work.querySelector("h2").tabIndex = -1;
      work.querySelector("h2").focus();
    } catch (error) {
      work.replaceChildren(...refused(error, name, bytes, more));
    } finally {
      running = false;
      zone.removeAttribute("aria-busy");
    }
  }
  // A refusal, and the columns to choose if the file has a header that the service may not know.
  function refused(error, name, bytes, more) {
    const again = () => send(name, bytes, more);
    const names = error.retriable ? null : headerOf(new TextDecoder().decode(bytes.subarray(0, 40_000)));
    const fault = problem(error, error.retriable ? again : null);
    if (!names) return [fault];
    const form = columnsForm(names, (given) => send(name, bytes, given));
    return [fault, panel(`The columns of ${name}`, h("p", { class: "soft" }, `It begins with: ${names.join(", ")}. Say what they are.`), form)];
  }
  return h(
    "div",
    { class: "page medium" },
    h("div", { class: "page-head" }, h("h1", null, "Import ratings"), h("p", { class: "lead" }, "Bring what you rated and watched elsewhere.")),
    zone,
    status,
    work,
  );
}

function base64(bytes) {
  const parts = [];
  for (let start = 0; start < bytes.length; start += 0x6000) parts.push(btoa(String.fromCharCode(...bytes.subarray(start, start + 0x6000))));
  return parts.join(""); // each part but the last has a multiple of three bytes
}

// What was stored, and what was not.
function report(name, result, signal) {
  const { rows, skipped, skippedCount } = result;
  const total = result.rated + result.watched + result.watchlisted + result.liked;
  const counts = [[result.rated, "rated"], [result.watched, "watched"], [result.watchlisted, "for the watchlist"], [result.liked, "liked"]];
  const doubtful = rows.filter(({ matchedBy }) => matchedBy === "TITLE_AND_NEAR_YEAR");
  const others = rows.filter(({ matchedBy }) => matchedBy !== "TITLE_AND_NEAR_YEAR");
  const item = (row) => importedRow(row, signal);
  return [
    panel(
      `${plural(total, "movie")} from ${NAMES[result.source] ?? name}`,
      h("p", null, counts.filter(([count]) => count).map(([count, what]) => `${count.toLocaleString("en")} ${what}`).join(", ") || "No row names a movie of the catalog.", ". ",
        result.changed < total && `${plural(total - result.changed, "movie")} had the same data before.`),
      total ? h("p", { class: "row" }, h("a", { class: "button", href: "/for-you" }, "Show my list"), h("a", { class: "quiet", href: "/mine" }, "My ratings")) : null,
    ),
    doubtful.length
      ? panel(`${plural(doubtful.length, "row")} to check`, h("p", { class: "soft" }, "The title fits, but the year differs by one. Correct those that are another movie."), h("ul", { class: "lines" }, doubtful.map(item)))
      : null,
    skippedCount
      ? panel(
          `${plural(skippedCount, "row")} not imported`,
          table("Rows that were not imported", ["Row", "Line", "Reason"], skipped.map(({ line, named, reason }) => [named || "–", line.toLocaleString("en"), reason])).element,
          skippedCount > skipped.length && h("p", { class: "soft" }, `The first ${skipped.length} are shown.`),
        )
      : null,
    others.length
      ? panel(
          "All other rows",
          h("ul", { class: "lines" }, others.map(item)),
          rows.length < total && h("p", { class: "soft" }, `The first ${rows.length.toLocaleString("en")} rows are shown. The others are among `, h("a", { href: "/mine" }, "your ratings"), "."),
        )
      : null,
  ].filter(Boolean);
}
