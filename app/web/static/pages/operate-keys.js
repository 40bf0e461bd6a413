// Keys of services: make one, which is shown once; revoke one.

import { ask, change } from "../core/api.js";
import { h } from "../core/dom.js";
import { toast } from "../core/toasts.js";
import { field } from "../parts/account-form.js";
import { badge, operateHead, spoken } from "../parts/operate.js";
import { paged } from "../parts/paged.js";
import { actForm, at, onDay, panel, sureButton } from "../parts/panel.js";
import { empty, failed } from "../parts/states.js";

const SCOPES = { READ: "Read", WRITE: "Edit movies", ADMIN: "Operate", MEMBERS: "Act for members of a system" };

export async function page({ signal }) {
  const find = async (after = null) => {
    const { apiKeys } = await ask("keys", { after }, { signal });
    return { items: apiKeys.nodes, pageInfo: apiKeys.pageInfo };
  };
  const load = async () => list.replace(await find());
  const revoke = (key) => async () => {
    try {
      await change("revoke-key", { apiKeyId: key.id });
      toast(`The key ${key.name} is revoked.`);
      await load();
    } catch (error) {
      toast(failed(`${key.name} is not revoked`, error), { error: true });
    }
  };
  const line = (key) =>
    h(
      "div",
      { class: "line" },
      h(
        "div",
        { class: "line-text" },
        h("b", null, key.name, key.revokedAt && badge("Revoked", "bad"), key.scopes.map((scope) => badge(SCOPES[scope] ?? spoken(scope)))),
        h("span", { class: "soft" }, h("code", null, `${key.beginning}…`), " made ", onDay(key.createdAt), key.source && `, for ${key.source}`, ", last used ", key.lastUsedAt ? at(key.lastUsedAt) : "never", key.expiresAt && [", expires ", onDay(key.expiresAt)]),
      ),
      key.revokedAt ? null : sureButton("Revoke", `Revoke ${key.name}?`, revoke(key)),
    );
  const list = paged(await find(), { signal, kind: "lines", item: line, more: find, none: () => empty("There is no key yet.") });
  return h("div", { class: "page medium-wide" }, operateHead("API keys"), maker(load), panel("Keys", list.element));
}

function maker(load) {
  const name = field("name", "Name", { maxlength: 100, autocomplete: "off" }, "What uses it, such as “newsletter”.");
  const source = field("source", "System", { maxlength: 64, autocomplete: "off" }, "Of its members, such as “plex”.");
  const days = field("days", "Days until it expires", { inputmode: "numeric", maxlength: 4, autocomplete: "off" }, "Empty: never.");
  source.element.hidden = true;
  const boxes = Object.entries(SCOPES).map(([scope, label]) => {
    const box = h("input", { type: "checkbox", value: scope, onchange: () => scope === "MEMBERS" && (source.element.hidden = !box.checked) });
    box.checked = scope === "READ";
    return { box, element: h("label", { class: "chip" }, box, h("span", null, label)) };
  });
  const made = h("div", { role: "status" });
  const form = actForm(
    "Make a key",
    [name.element, h("fieldset", { class: "chips" }, h("legend", null, h("b", null, "It may")), boxes.map(({ element }) => element)), source.element, days.element],
    async (fault) => {
      for (const each of [name, days]) each.fault("");
      const scopes = boxes.filter(({ box }) => box.checked).map(({ box }) => box.value);
      const wait = days.input.value.trim();
      if (!name.input.value.trim()) return name.fault("Enter a name.");
      if (!/^\d*$/.test(wait) || wait === "0") return days.fault("Enter a whole number of days, or nothing.");
      if (!scopes.length) return void (fault.textContent = "Choose what the key may do.");
      const { key, apiKey } = await change("create-key", {
        name: name.input.value.trim(),
        scopes,
        ...(scopes.includes("MEMBERS") ? { source: source.input.value.trim() } : {}),
        ...(wait ? { expiresAt: new Date(Date.now() + Number(wait) * 86_400_000).toISOString() } : {}),
      });
      const shown = h("input", { readonly: true, value: key, "aria-label": `The key ${apiKey.name}`, onfocus: () => shown.select() });
      made.replaceChildren(h("div", { class: "picker" }, h("p", null, h("b", null, "Copy the key now. It is not shown again.")), h("div", { class: "input" }, shown)));
      shown.focus();
      name.input.value = "";
      await load().catch(() => {});
    },
  );
  return panel("Make a key", form, made);
}
