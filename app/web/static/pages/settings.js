// Settings: who may see the member, where they are signed in, the password, their data, and the end of the account.

import { ask, change } from "../core/api.js";
import { h, plural } from "../core/dom.js";
import { navigate } from "../core/router.js";
import { leave } from "../core/session.js";
import { toast } from "../core/toasts.js";
import { field } from "../parts/account-form.js";
import { actForm, at, onDay, panel, sureButton } from "../parts/panel.js";
import { paged } from "../parts/paged.js";
import { PASSWORD_HINT, passwordRules } from "../parts/password.js";
import { busyButton, failed, problem } from "../parts/states.js";

export async function page({ signal, reload }) {
  const { viewer } = await ask("settings", {}, { signal });
  return h(
    "div",
    { class: "page medium" },
    h(
      "div",
      { class: "page-head" },
      h("h1", null, "Settings"),
      h("p", { class: "soft" }, `${viewer.username}, a member since `, onDay(viewer.createdAt), ` with ${plural(viewer.ratings.totalCount, "rating")}.`),
    ),
    visibility(viewer),
    sessions(viewer, signal, reload),
    password(viewer, reload),
    data(viewer),
    ending(viewer),
  );
}

function visibility({ discoverable }) {
  const box = h("input", { type: "checkbox", onchange: () => store(box.checked) });
  box.checked = discoverable;
  async function store(on) {
    try {
      await change("discoverable", { discoverable: on });
      toast(on ? "Other members can find you now." : "Other members no longer find you.");
    } catch (error) {
      box.checked = !on;
      toast(failed("This is not stored", error), { error: true });
    }
  }
  return panel(
    "Visibility",
    h("label", { class: "switch" }, box, h("span", null, "Others who know my name may use it for a movie night. They see how well movies match me, and members of my taste see my name.")),
  );
}

const PROGRAMS = [["Edg", "Edge"], ["OPR", "Opera"], ["Firefox", "Firefox"], ["Chrome", "Chrome"], ["Safari", "Safari"], ["curl", "curl"]];
const SYSTEMS = [["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"], ["Mac OS", "macOS"], ["Linux", "Linux"]];

// The browser and the system that an agent names; else its first words.
function agentName(agent) {
  if (!agent) return "Unknown program";
  const of = (names) => names.find(([part]) => agent.includes(part))?.[1];
  return [of(PROGRAMS) ?? agent.split(" ")[0].slice(0, 40), of(SYSTEMS)].filter(Boolean).join(" on ");
}

function sessions({ sessions: first }, signal, reload) {
  const fault = h("div");
  const run = async (act) => {
    fault.replaceChildren();
    try {
      await act();
    } catch (error) {
      fault.replaceChildren(problem(error));
    }
  };
  const end = (session) =>
    run(async () => {
      await change("end-session", { sessionId: session.id });
      toast(`${agentName(session.agent)} is signed out.`);
      await reload();
    });
  const row = (session) =>
    h(
      "div",
      { class: "line" },
      h(
        "div",
        { class: "line-text" },
        h("b", null, agentName(session.agent), session.isCurrent && h("span", { class: "badge" }, "This browser")),
        h("span", { class: "soft" }, session.address ? `From ${session.address}. ` : null, "Last used ", at(session.lastUsedAt)),
      ),
      session.isCurrent ? null : busyButton({ class: "quiet", "aria-label": `Sign out ${agentName(session.agent)}` }, "Sign out", () => end(session)),
    );
  const list = paged(
    { items: first.nodes.toSorted((one, other) => other.isCurrent - one.isCurrent), pageInfo: first.pageInfo },
    {
      signal,
      kind: "lines",
      item: row,
      more: async (after) => {
        const { viewer } = await ask("settings", { after }, { signal });
        return { items: viewer.sessions.nodes, pageInfo: viewer.sessions.pageInfo };
      },
    },
  );
  const others = busyButton({ class: "quiet" }, "Sign out all others", () =>
    run(async () => {
      const { endedSessions } = await change("end-other-sessions");
      toast(`${plural(endedSessions, "session")} ended.`);
      await reload();
    }),
  );
  const all = sureButton("Sign out everywhere", "Sign out here too?", () =>
    run(async () => {
      await change("end-all-sessions");
      await gone("/", "You are signed out everywhere.");
    }),
  );
  const alone = first.nodes.length < 2 && !first.pageInfo.hasNextPage;
  return panel("Where you are signed in", list.element, fault, h("p", { class: "row" }, alone ? null : others, all));
}

// The session of this browser has ended on the service: forget it here too.
async function gone(path, text) {
  await leave();
  await navigate(path, { replace: true });
  toast(text);
}

function password({ username }, reload) {
  const current = field("current", "Current password", { type: "password", autocomplete: "current-password" });
  const next = field("new", "New password", { type: "password", autocomplete: "new-password" }, PASSWORD_HINT);
  next.input.addEventListener("input", () => {
    const fault = passwordRules(next.input.value, username);
    next.say(fault ?? "This password is fine.", { good: !fault });
  });
  const name = h("input", { type: "text", name: "username", autocomplete: "username", value: username, readonly: true, hidden: true });
  const form = actForm("Change the password", [name, current.element, next.element], async () => {
    current.fault("");
    if (!current.input.value) return current.fault("Enter your current password.");
    const fault = passwordRules(next.input.value, username);
    if (fault) return next.fault(fault);
    try {
      const { endedSessions } = await change("change-password", { currentPassword: current.input.value, newPassword: next.input.value });
      toast(`The password is changed.${endedSessions ? ` ${plural(endedSessions, "other session")} ended.` : ""}`);
      await reload();
    } catch (error) {
      if (error.code === "WEAK_PASSWORD") next.fault(error.message);
      else if (error.code === "INVALID_CREDENTIALS") current.fault("This is not your current password.");
      else throw error;
    }
  });
  return panel("Password", h("p", { class: "soft" }, "All other browsers are signed out when it changes."), form);
}

function data({ username }) {
  const fault = h("div");
  const download = busyButton({ class: "quiet" }, "Download my data", async () => {
    fault.replaceChildren();
    try {
      const { exportMyData } = await ask("export");
      const file = new Blob([JSON.stringify(exportMyData, null, 1)], { type: "application/json" });
      const address = URL.createObjectURL(file);
      h("a", { href: address, download: `marquee-${username.replace(/[^\w.-]+/g, "-")}.json` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
      toast("Your data is downloaded.");
    } catch (error) {
      fault.replaceChildren(problem(error));
    }
  });
  return panel(
    "Your data",
    h("p", { class: "soft" }, "A JSON file with all that Marquee stores about you: ratings, watchlist, history, sessions."),
    fault,
    h("p", { class: "row" }, download, h("a", { class: "quiet", href: "/import" }, "Import ratings")),
  );
}

function ending({ username }) {
  const typed = field("confirmation", `Type ${username} to confirm`, { autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const secret = field("password", "Password", { type: "password", autocomplete: "current-password" });
  const form = actForm("Delete my account", [typed.element, secret.element], async () => {
    typed.fault("");
    secret.fault("");
    if (typed.input.value.trim() !== username) return typed.fault(`Type your name, ${username}, exactly.`);
    if (!secret.input.value) return secret.fault("Enter your password.");
    try {
      await change("delete-account", { password: secret.input.value });
    } catch (error) {
      if (error.code === "INVALID_CREDENTIALS") return secret.fault("This is not your password.");
      throw error;
    }
    await gone("/", "Your account and all its data are deleted.");
  }, { kind: "button is-danger" });
  return panel(
    "Delete the account",
    h("p", { class: "soft" }, "Your ratings, watchlist and history are deleted at once. This cannot be undone."),
    h("details", { class: "disclosure" }, h("summary", { class: "quiet danger" }, "Delete the account"), form),
  );
}
