// A list traced by its request id: what was shown to whom, what made it, and the list made again.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { navigate } from "../core/router.js";
import { field } from "../parts/account-form.js";
import { movieAddress } from "../parts/card.js";
import { badge, operateHead } from "../parts/operate.js";
import { at, panel, table } from "../parts/panel.js";
import { empty } from "../parts/states.js";

const OUTCOMES = { REPRODUCED: ["Made again: the same list", "good"], DIFFERENT: ["Made again: another list", "bad"], UNAVAILABLE: ["Cannot be made again", ""] };

export async function page({ query, signal }) {
  const id = query.get("request")?.trim() ?? "";
  let fault = null;
  let list = null;
  if (id) {
    try {
      list = (await ask("served-list", { requestId: id }, { signal })).servedList;
    } catch (error) {
      if (error.retriable || signal.aborted) throw error;
      fault = error.message;
    }
  }
  const input = field("request", "Request id", { value: id, autocomplete: "off", spellcheck: "false", maxlength: 200 }, "The requestId of a list, as its answer, its events and the log have it.");
  const trace = (event) => {
    event.preventDefault();
    const wanted = input.input.value.trim();
    if (!wanted) return input.fault("Enter the id of a request.");
    navigate(`/operate/lists?request=${encodeURIComponent(wanted)}`);
  };
  if (fault) queueMicrotask(() => input.fault(fault));
  return h(
    "div",
    { class: "page" },
    operateHead("Trace a list"),
    h("form", { class: "form wide-form", onsubmit: trace, novalidate: true }, input.element, h("p", { class: "row" }, h("button", { type: "submit", class: "button" }, "Trace"))),
    list ? story(list) : id && !fault ? empty("No list with this id is stored. Lists are kept for SERVED_LIST_DAYS.") : null,
  );
}

function story({ requestId, username, pages, models, replays }) {
  return h(
    "div",
    { class: "stack" },
    panel(
      `List of ${username ?? "a visitor"}`,
      h("p", { class: "soft mono" }, requestId),
      table(
        "What made the list",
        ["Model", "Kind", "Trained", "Data"],
        models.map((model) => [h("a", { href: "/operate/models" }, model.version), model.kind, at(model.trainedAt), model.trainingData ? `${model.trainingData.version}: ${plural(model.trainingData.ratingCount, "rating")}` : "–"]),
      ).element,
    ),
    pages.map((each, place) => {
      const [text, kind] = OUTCOMES[replays[place]?.outcome] ?? ["Not made again", ""];
      return panel(
        `Page ${place + 1}: ${each.field}`,
        h("p", { class: "row" }, badge(text, kind), replays[place]?.reason && h("span", { class: "soft" }, replays[place].reason)),
        h("p", { class: "soft" }, "Shown ", at(each.servedAt), ", with the history up to ", at(each.historyAt), each.arm && `, in the arm ${each.arm}`, "."),
        table(
          "Movies of the page",
          ["Movie", "Place", "Score"],
          each.movies.map(({ rank, score, movie }) => [movie ? h("a", { href: movieAddress(movie) }, movie.title, movie.year ? ` (${movie.year})` : "") : "A deleted movie", String(rank), score.toFixed(4)]),
        ).element,
        h("details", { class: "disclosure" }, h("summary", { class: "quiet" }, "Parameters"), h("pre", { class: "code", tabindex: "0" }, JSON.stringify(each.parameters, null, 2))),
      );
    }),
  );
}
