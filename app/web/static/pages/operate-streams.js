// Ingestion: how far streams are behind, and the events that were refused, with the reason.

import { ask, change } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { setQuery } from "../core/router.js";
import { toast } from "../core/toasts.js";
import { choice } from "../parts/mine-tabs.js";
import { ago, badge, operateHead, spoken } from "../parts/operate.js";
import { paged } from "../parts/paged.js";
import { at, panel, table } from "../parts/panel.js";
import { busyButton, empty, problem } from "../parts/states.js";

const REASONS = ["MALFORMED", "TIME", "FUTURE", "MEMBER", "MOVIE", "UNKNOWN_MOVIE", "VALUE"];

export async function page({ query, signal, reload }) {
  const find = async (after = null) => {
    const wanted = query.get("reason");
    const { service, deadLetters } = await ask("streams", { after, reason: REASONS.includes(wanted) ? wanted : null }, { signal });
    return { items: deadLetters.nodes, pageInfo: deadLetters.pageInfo, service };
  };
  const first = await find();
  const { service } = first;
  const counts = Object.fromEntries(service.deadLetters.map(({ reason, count }) => [reason, count]));
  const fault = h("div");
  const list = paged(first, { signal, kind: "lines", item: letter, more: find, none: () => empty("No event was refused.") });
  const load = async () => {
    setQuery(query);
    fault.replaceChildren();
    try {
      list.replace(await find());
    } catch (error) {
      fault.replaceChildren(problem(error, load));
    }
  };
  const choices = { "": "All reasons", ...Object.fromEntries(REASONS.map((reason) => [reason, `${spoken(reason)} (${counts[reason] ?? 0})`])) };
  const dead = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return h(
    "div",
    { class: "page" },
    operateHead("Ingestion"),
    panel(
      "Streams",
      service.streams.length
        ? table("Streams, the one that was stored last first", ["Stream", "Partitions", "Waiting", "Stored last"],
            service.streams.map((each) => [each.stream, String(each.partitions), Number(each.lag).toLocaleString("en"), h("span", null, ago(each.storedAt), ", ", at(each.storedAt))])).element
        : h("p", { class: "soft" }, "No stream is stored yet. ", h("code", null, "marquee ingest"), " reads one from Kafka or a file."),
    ),
    panel(
      "Dead letters",
      dead ? h("div", { class: "list-head" }, h("p", { class: "soft" }, `${plural(dead, "event")} refused.`), choice("Reason", "reason", choices, query, load)) : null,
      dead ? h("div", { class: "row" }, replay(query, fault, reload), h("span", { class: "soft" }, "Stores those again that are valid now, such as after a movie was added. Others remain.")) : null,
      fault,
      list.element,
    ),
  );
}

// Store the refused events again, piece by piece, with the numbers so far.
function replay(query, fault, reload) {
  const button = busyButton({ class: "quiet" }, "Replay", async () => {
    const sum = { stored: 0, repeated: 0, refused: 0 };
    const numbers = () => `${sum.stored.toLocaleString("en")} stored, ${sum.repeated.toLocaleString("en")} known before, ${sum.refused.toLocaleString("en")} refused again`;
    const reason = REASONS.includes(query.get("reason")) ? query.get("reason") : null;
    fault.replaceChildren();
    try {
      for (let before = null; ; ) {
        const result = await change("replay", { reason, before });
        for (const name of Object.keys(sum)) sum[name] += result[name];
        if (!result.next) break;
        before = result.next;
        button.textContent = numbers();
      }
      toast(`${numbers()}.`);
      await reload();
    } catch (error) {
      button.textContent = "Replay";
      fault.replaceChildren(problem(new Error(`${numbers()}; then: ${error.message}`)));
    }
  });
  return button;
}

const letter = (each) =>
  h(
    "div",
    { class: "letter" },
    h("p", { class: "row" }, badge(spoken(each.reason), "bad"), h("b", null, each.rule)),
    h("p", { class: "soft" }, `${each.stream}, partition ${each.partition}, position ${each.position}, `, at(each.receivedAt), each.isWhole ? "" : ". The line is cut and cannot be replayed."),
    h("pre", { class: "code", tabindex: "0" }, each.line),
  );
