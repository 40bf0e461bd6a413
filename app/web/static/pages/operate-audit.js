// The audit log: what operators and keys did.

import { ask } from "../core/api.js";
import { h } from "../core/dom.js";
import { badge, operateHead } from "../parts/operate.js";
import { paged } from "../parts/paged.js";
import { at } from "../parts/panel.js";
import { empty } from "../parts/states.js";

export async function page({ signal }) {
  const find = async (after = null) => {
    const { auditLog } = await ask("audit", { after }, { signal });
    return { items: auditLog.nodes, pageInfo: auditLog.pageInfo };
  };
  const list = paged(await find(), { signal, kind: "lines", item: entry, more: find, none: () => empty("No operator has done anything yet.") });
  return h("div", { class: "page" }, operateHead("Audit", "What operators and keys did, newest first."), h("div", { class: "panel" }, list.element));
}

const actor = ({ username, apiKeyName }) => [username, apiKeyName && `key ${apiKeyName}`].filter(Boolean).join(", ") || "A command";

// "done", the payload of a mutation, or the name of a failure.
function result(outcome) {
  if (!outcome) return badge("Not finished", "bad");
  if (outcome === "done" || outcome.endsWith("Payload")) return badge("Done", "good");
  return badge(outcome.replace(/(?<=[a-z])(?=[A-Z])/g, " "), "bad");
}

const entry = (each) =>
  h(
    "div",
    { class: "letter" },
    h("p", { class: "row" }, h("b", null, each.act), result(each.outcome)),
    h("p", { class: "soft" }, actor(each), each.address && ` from ${each.address}`, ", ", at(each.begunAt)),
    Object.keys(each.arguments ?? {}).length ? h("pre", { class: "code", tabindex: "0" }, JSON.stringify(each.arguments)) : null,
  );
