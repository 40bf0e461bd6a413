// Models: their figures beside those of the active one; train, activate, roll back.

import { ask, change } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { toast } from "../core/toasts.js";
import { badge, operateHead, percent, spoken, withInterval } from "../parts/operate.js";
import { paged } from "../parts/paged.js";
import { at, panel, sureButton, table } from "../parts/panel.js";
import { busyButton, empty, failed } from "../parts/states.js";
import { training } from "../parts/training.js";

const PARTIAL = /\bwith about\b|\balone\b/; // metrics of some members, or of a part of the model
const KINDS = { ACTIVE: "good", REMOVED: "bad" };

export async function page({ signal }) {
  const find = async (after = null) => {
    const answer = await ask("models", { after }, { signal });
    return { items: answer.models.nodes, pageInfo: answer.models.pageInfo, active: answer.activeModel };
  };
  const first = await find();
  let { active } = first;
  const load = async () => {
    const next = await find();
    ({ active } = next);
    list.replace(next);
    offer(next);
  };
  const run = (act, done) => async () => {
    try {
      await act();
      toast(done);
      await load();
    } catch (error) {
      toast(failed("The model is not changed", error), { error: true });
    }
  };
  const back = sureButton("Roll back", "Serve the model before?", run(() => change("roll-back", { activeVersion: active?.version ?? null }), "The model before is active."));
  // Without another model to serve there is nothing to go back to.
  const offer = ({ items, pageInfo }) => {
    back.hidden = !active;
    back.disabled = !pageInfo.hasNextPage && items.every(({ status }) => status === "ACTIVE" || status === "REMOVED");
    back.title = back.disabled ? "There is no other model" : "";
  };
  const list = paged(first, {
    signal,
    kind: "stack",
    item: (model) => modelPanel(model, active, run),
    more: find,
    none: () => empty("There is no model yet. Train one."),
  });
  offer(first);
  return h(
    "div",
    { class: "page" },
    operateHead("Models"),
    training(signal, () => load().catch(() => {})),
    h("div", { class: "list-head" }, h("h2", null, "Trained models"), back),
    list.element,
  );
}

function modelPanel(model, active, run) {
  const serves = model.status === "ACTIVE";
  const beside = !serves && active;
  const columns = ["Metric", "This model", ...(beside ? ["Active model"] : []), "Measured on"];
  const others = new Map((active?.metrics ?? []).map((metric) => [metric.name, metric]));
  const shown = (metric) => (metric ? withInterval(metric.value, metric.low, metric.high) : "–");
  const row = (metric) => [metric.label, shown(metric), ...(beside ? [shown(others.get(metric.name))] : []), metric.measuredOn];
  const main = model.metrics.filter(({ measuredOn }) => !PARTIAL.test(measuredOn));
  const parts = model.metrics.filter(({ measuredOn }) => PARTIAL.test(measuredOn));
  const { gate, shadow, trainingData } = model;
  const activate = busyButton({ class: "quiet", "aria-label": `Activate ${model.version}` }, "Activate", run(() => change("activate-model", { version: model.version }), `Model ${model.version} is active.`));
  return h(
    "section",
    { class: "panel", "aria-label": `Model ${model.version}` },
    h(
      "div",
      { class: "list-head" },
      h("h3", { class: "row" }, model.version, badge(spoken(model.status), KINDS[model.status])),
      serves || model.status === "REMOVED" ? null : activate,
    ),
    h("p", { class: "soft" }, `${model.kind}, trained `, at(model.trainedAt), trainingData && ` on ${plural(trainingData.ratingCount, "rating")} of ${plural(trainingData.memberCount, "member")}.`),
    gate && h("p", null, gate.passed ? badge("Gate passed", "good") : badge("Gate refused", "bad"), " ", gate.reason ?? "",
      gate.difference && ` ${gate.difference.label}, difference to the model before: ${withInterval(gate.difference.value, gate.difference.low, gate.difference.high)}, ${plural(gate.memberCount, "member")}.`),
    shadow && h("p", { class: "soft" }, `Shadow mode${shadow.running ? ", running" : ""}: ${plural(shadow.lists, "list")}, ${percent(shadow.agreement)} the same, ${shadow.failed} failed.`),
    main.length ? table(`Metrics of ${model.version}, with 95 % intervals`, columns, main.map(row), { shown: true }).element : null,
    parts.length
      ? h("details", { class: "disclosure" }, h("summary", { class: "quiet" }, `${plural(parts.length, "metric")} by number of ratings and by part`), table(`Further metrics of ${model.version}`, columns, parts.map(row)).element)
      : null,
  );
}
