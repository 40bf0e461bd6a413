// A training that is followed to its end, also after a reload of the page.

import { change } from "../core/api.js";
import { h } from "../core/dom.js";
import { subscribe } from "../core/live.js";
import { spoken } from "./operate.js";
import { actForm, panel } from "./panel.js";

const JOB = "marquee:training";

// `done` is called when a training has ended well.
export function training(signal, done) {
  const bar = h("progress", { max: 1, "aria-label": "Training" });
  const text = h("p", { role: "status" });
  const live = h("div", { class: "training", hidden: true }, text, bar);
  let stop = null;
  const follow = (id) => {
    stop?.abort();
    const mine = (stop = new AbortController());
    sessionStorage.setItem(JOB, id);
    live.hidden = false;
    text.textContent = "The training waits for its turn.";
    bar.removeAttribute("value");
    subscribe("training", { jobId: id }, ({ trainingProgress: news }) => show(news, mine), AbortSignal.any([mine.signal, signal]));
  };
  function show({ status, stage, fraction, message, model }, mine) {
    const over = status === "SUCCEEDED" || status === "FAILED";
    bar.value = over ? 1 : fraction;
    bar.hidden = over;
    text.classList.toggle("fault", status === "FAILED");
    if (!over) {
      text.textContent = status === "QUEUED" ? "The training waits for its turn." : `${spoken(stage)}: ${Math.round(100 * fraction)} %`;
      return;
    }
    sessionStorage.removeItem(JOB);
    mine.abort();
    if (status === "FAILED") text.textContent = `The training failed. ${message ?? "The log of the service says why."} Train again when that is mended.`;
    else if (model?.status === "ACTIVE") text.textContent = `Model ${model.version} is trained and active.`;
    else text.textContent = `Model ${model?.version ?? ""} is trained, but not active. ${model?.gate?.reason ?? message ?? ""}`;
    if (status === "SUCCEEDED") done();
  }
  const form = actForm("Train a model", [], async () => follow((await change("train", {})).job.id));
  const before = sessionStorage.getItem(JOB);
  if (before) follow(before);
  return panel("Training", h("p", { class: "soft" }, "A training reads all ratings up to now. The new model serves at once, unless it is worse than the active one."), live, form);
}
