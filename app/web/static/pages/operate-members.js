// A member by name: the list that they would get now, the role, and the end of the account.

import { ask, change } from "../core/api.js";
import { h } from "../core/dom.js";
import { navigate } from "../core/router.js";
import { toast } from "../core/toasts.js";
import { field } from "../parts/account-form.js";
import { matchText, movieAddress } from "../parts/card.js";
import { select } from "../parts/import-columns.js";
import { operateHead } from "../parts/operate.js";
import { actForm, panel, table } from "../parts/panel.js";

const ROLES = { USER: "Member", CURATOR: "Curator: edits movies", ADMIN: "Administrator" };

export async function page({ query, signal }) {
  const username = query.get("name")?.trim() ?? "";
  const wanted = field("name", "Name of a member", { value: username, maxlength: 256, autocomplete: "off", autocapitalize: "none", spellcheck: "false" }, "The look is in the audit log.");
  let found = null;
  if (username) {
    try {
      found = (await ask("member-list", { username }, { signal })).recommendations.edges;
    } catch (error) {
      if (error.retriable || signal.aborted) throw error;
      queueMicrotask(() => wanted.fault(error.message));
    }
  }
  const look = (event) => {
    event.preventDefault();
    const name = wanted.input.value.trim();
    if (!name) return wanted.fault("Enter the name of a member.");
    navigate(`/operate/members?name=${encodeURIComponent(name)}`);
  };
  return h(
    "div",
    { class: "page" },
    operateHead("Members"),
    h("form", { class: "form wide-form", novalidate: true, onsubmit: look }, wanted.element, h("p", { class: "row" }, h("button", { type: "submit", class: "button" }, "Look up"))),
    found && h("div", { class: "two" }, role(username), ending(username)),
    found &&
      panel(
        `The list of ${username} now`,
        table("The list that the member would get", ["Movie", "Match", "Reason"], found.map(({ node, matchPercent, reasons }) => [
          h("a", { href: movieAddress(node) }, node.title, node.year ? ` (${node.year})` : ""),
          matchText(matchPercent) ?? "–",
          reasons[0]?.text ?? "–",
        ])).element,
      ),
  );
}

function role(username) {
  const chosen = select("Role", ROLES, "USER");
  const form = actForm("Set the role", [chosen.element], async () => {
    const { role: set } = await change("set-role", { username, role: chosen.input.value });
    toast(`${username} has the role ${ROLES[set]} now.`);
  }, { quiet: true });
  return panel("Role", form);
}

function ending(username) {
  const typed = field("confirmation", `Type ${username} to confirm`, { autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const form = actForm("Delete the member", [typed.element], async () => {
    typed.fault("");
    if (typed.input.value.trim() !== username) return typed.fault(`Type the name, ${username}, exactly.`);
    await change("delete-user", { username });
    await navigate("/operate/members", { replace: true });
    toast(`${username} and all their data are deleted.`);
  }, { kind: "button is-danger" });
  return panel("Delete", h("details", { class: "disclosure" }, h("summary", { class: "quiet danger" }, "Delete the member"), form));
}
