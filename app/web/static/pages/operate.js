// Operate: what the service does, and where to look next.

import { ask } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { ago, operateHead, spoken } from "../parts/operate.js";
import { at, panel, table } from "../parts/panel.js";

const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });
const duration = (milliseconds) => (milliseconds === null ? "–" : milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`);

export async function page({ signal, reload }) {
  const { service, activeModel, movies, experiments } = await ask("operate", {}, { signal });
  const failed = service.errors.reduce((sum, { count }) => sum + count, 0);
  const lag = service.streams.reduce((sum, each) => sum + Number(each.lag), 0);
  const dead = service.deadLetters.reduce((sum, { count }) => sum + count, 0);
  const hours = Math.max(1 / 60, (Date.now() - Date.parse(service.since)) / 3_600_000);
  const running = experiments.nodes.filter(({ status }) => status === "RUNNING");
  const slow = service.slowMilliseconds === null ? (service.operations ? "95 of 100 in over 10 s" : "None yet") : `95 of 100 within ${duration(service.slowMilliseconds)}`;
  return h(
    "div",
    { class: "page" },
    operateHead("Operate"),
    h(
      "dl",
      { class: "figures" },
      figure("Requests", service.operations.toLocaleString("en"), `${(service.operations / hours / 60).toFixed(1)} a minute since ${ago(service.since)}`),
      figure("Latency", duration(service.meanMilliseconds), slow),
      figure("Errors", failed.toLocaleString("en"), service.operations ? `${((100 * failed) / service.operations).toFixed(1)} for 100 requests` : "None yet"),
      figure("Members", service.memberCount.toLocaleString("en"), `${plural(movies.totalCount, "movie")} in the catalog`, "/operate/members"),
      figure("Model", activeModel ? ago(activeModel.trainedAt) : "None", activeModel ? `Trained on ${plural(activeModel.trainingData?.ratingCount ?? 0, "rating")}` : "Train one", "/operate/models"),
      figure("Ingestion", service.streams.length ? `${lag.toLocaleString("en")} behind` : "No stream", `${plural(dead, "dead letter")}`, "/operate/streams"),
      figure("Experiments", running.length ? running.map(({ name }) => name).join(", ") : "None runs", plural(experiments.nodes.length, "experiment"), "/operate/experiments"),
    ),
    h(
      "div",
      { class: "two" },
      ratings(service.ratingsByDay),
      panel(
        "Errors by code",
        service.errors.length
          ? table("Errors in responses since the process started", ["Code", "Responses"], service.errors.toSorted((one, other) => other.count - one.count).map(({ code, count }) => [spoken(code), count.toLocaleString("en")])).element
          : h("p", { class: "soft" }, "No response had an error."),
      ),
    ),
    h("p", { class: "soft" }, "Requests, latency and errors are those of the process that answered, started ", at(service.since), ". Prometheus has those of all processes. ",
      h("button", { type: "button", class: "bare", onclick: reload }, "Refresh")),
  );
}

const figure = (name, value, more, path = null) =>
  h("div", { class: "figure" }, h("dt", null, path ? h("a", { href: path }, name) : name), h("dd", null, h("b", null, value), h("span", { class: "soft" }, more)));

// Ratings of each day, as bars with their numbers.
function ratings(days) {
  const most = Math.max(1, ...days.map(({ count }) => count));
  const name = (text) => day.format(new Date(`${text}T00:00:00Z`));
  const total = days.reduce((sum, { count }) => sum + count, 0);
  return panel(
    "Ratings a day",
    h("p", { class: "soft" }, `${plural(total, "rating")} in ${days.length} days.`),
    h(
      "ol",
      { class: "days" },
      days.map((each, place) =>
        h(
          "li",
          { title: `${name(each.day)}: ${plural(each.count, "rating")}`, style: { "--share": each.count / most } },
          h("span", { class: "hidden-text" }, `${name(each.day)}: ${plural(each.count, "rating")}`),
          h("span", { class: "bar", "aria-hidden": "true" }),
          h("span", { class: "axis", "aria-hidden": "true" }, place % 4 === (days.length - 1) % 4 ? name(each.day) : ""),
        ),
      ),
    ),
  );
}
