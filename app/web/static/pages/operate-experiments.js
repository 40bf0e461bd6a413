// Experiments: the arms, and how the interval of each lift develops; stop one.

import { ask, change } from "../core/api.js";
import { h } from "../core/dom.js";
import { toast } from "../core/toasts.js";
import { intervalOverTime } from "../parts/drawing.js";
import { badge, operateHead, percent, spoken, withInterval } from "../parts/operate.js";
import { paged } from "../parts/paged.js";
import { at, sureButton, table } from "../parts/panel.js";
import { empty, failed } from "../parts/states.js";

const rate = (value) => percent(value, 2);
const signed = (value) => `${value > 0 ? "+" : ""}${(value * 100).toFixed(1)} %`;

export async function page({ signal, reload }) {
  const find = async (after = null) => {
    const { experiments } = await ask("experiments", { after }, { signal });
    return { items: experiments.nodes, pageInfo: experiments.pageInfo };
  };
  const list = paged(await find(), {
    signal,
    kind: "stack",
    item: (experiment) => report(experiment, reload),
    more: find,
    none: () => h("div", { class: "panel" }, empty("There is no experiment yet. The command “marquee experiment start” or the mutation startExperiment begins one.")),
  });
  return h("div", { class: "page" }, operateHead("Experiments", "Look at the sample ratio first, then at the metric that was chosen before the start."), list.element);
}

function report(experiment, reload) {
  const { name, status, sampleRatio, arms, comparisons, looks } = experiment;
  const measured = comparisons.filter(({ lift }) => lift !== null);
  const stop = sureButton("Stop", `Stop ${name}?`, async () => {
    try {
      await change("stop-experiment", { name });
      toast(`${name} is stopped. Its report is kept.`);
      await reload();
    } catch (error) {
      toast(failed(`${name} is not stopped`, error), { error: true });
    }
  });
  return h(
    "section",
    { class: "panel", "aria-label": `Experiment ${name}` },
    h("div", { class: "list-head" }, h("h2", { class: "row" }, name, badge(spoken(status), status === "RUNNING" ? "good" : "")), status === "STOPPED" ? null : stop),
    h("p", { class: "soft" }, `${spoken(experiment.design)}, from `, at(experiment.startedAt), " to ", at(experiment.stoppedAt ?? experiment.endsAt), "."),
    sampleRatio && h("p", { class: "row" }, sampleRatio.mismatch ? badge("Sample ratio does not fit", "bad") : badge("Sample ratio fits", "good"), h("span", { class: "soft" }, `p = ${sampleRatio.pValue.toPrecision(2)}`)),
    table(
      `Arms of ${name}`,
      ["Arm", "Share", "Sets", "Members", "Lists", "Click rate", "Watch rate", "Mean stars"],
      arms.map((arm) => [arm.name, percent(arm.share, 0), setsOf(arm), arm.users.toLocaleString("en"), arm.lists.toLocaleString("en"), rate(arm.clickRate), rate(arm.watchRate),
        arm.meanRating ? withInterval(arm.meanRating.value, arm.meanRating.low, arm.meanRating.high, (value) => value.toFixed(2)) : "–"]),
      { shown: true },
    ).element,
    measured.length
      ? table(
      `Lift over ${arms[0]?.name ?? "the first arm"}`,
      ["Metric", "Arm", "Lift, 95 % interval", "At all times", "p"],
      measured.map((each) => [spoken(each.metric), each.arm, withInterval(each.lift, each.low, each.high, signed), each.sequentialLow === null ? "–" : `${signed(each.sequentialLow)} to ${signed(each.sequentialHigh)}`, each.pValue === null ? "–" : each.pValue.toPrecision(2)]),
      { shown: true },
    ).element
      : h("p", { class: "soft" }, "The lift appears once members of two arms have lists."),
    charts(looks),
  );
}

const setsOf = ({ modelVersion, diversity, exploration }) =>
  [modelVersion && `model ${modelVersion}`, diversity !== null && `diversity ${diversity}`, exploration !== null && `exploration ${exploration}`].filter(Boolean).join(", ") || "nothing";

// For each arm and metric that was looked at, the interval at all times.
function charts(looks) {
  const groups = Map.groupBy(looks.filter(({ comparison }) => comparison.lift !== null), ({ comparison }) => `${spoken(comparison.metric)}, ${comparison.arm}`);
  if (!groups.size) return null;
  return [...groups].map(([title, found]) =>
    h(
      "figure",
      { class: "figure-chart" },
      h("figcaption", null, `${title}: the lift with its interval at all times`),
      intervalOverTime(`${title}: ${found.length} looks`, found.map(({ at: when, comparison }) => ({ at: when, value: comparison.lift, low: comparison.sequentialLow, high: comparison.sequentialHigh })), signed),
    ),
  );
}
