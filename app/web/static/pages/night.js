// Movie night: one list for several members, with the match of each. The members are in the address, so that
// the address is the invitation.

import { ask, change } from "../core/api.js";
import { h, icon, newId, plural } from "../core/dom.js";
import { navigate } from "../core/router.js";
import { session } from "../core/session.js";
import { toast } from "../core/toasts.js";
import { movieCard } from "../parts/card.js";
import { paged } from "../parts/paged.js";
import { failed, problem } from "../parts/states.js";

const MOST = 10; // members

const addressOf = (names) => `/night${names.length ? "?" : ""}${names.map((name) => `with=${encodeURIComponent(name)}`).join("&")}`;

export async function page({ query, signal }) {
  const me = session().username;
  const others = [...new Set(query.getAll("with"))].filter((name) => name && name !== me).slice(0, MOST - 1);
  const usernames = [me, ...others];
  const find = async (after = null) => {
    const answer = await ask("night", { usernames, after }, { signal });
    const { requestId, edges, pageInfo } = answer.groupRecommendations;
    return { ...answer, items: edges.map((edge) => ({ edge, requestId })), pageInfo };
  };
  let first = null;
  let fault = null;
  try {
    first = others.length ? await find() : await ask("night-start", {}, { signal });
  } catch (error) {
    if (error.retriable || signal.aborted) throw error;
    fault = error; // a name that is not usable; the page lets the member take it away
    first = await ask("night-start", {}, { signal });
  }
  const list = others.length && !fault ? joint(first, find, signal) : null;
  return h(
    "div",
    { class: "page", "data-title": "Movie night" },
    h(
      "div",
      { class: "page-head" },
      h("h1", null, "Movie night"),
      h("p", { class: "lead" }, others.length && !fault ? `What suits ${others.length === 1 ? "both" : `all ${usernames.length}`} of you. No one has rated or rejected these.` : "One list for all of you, with the match of each."),
    ),
    h("div", { class: "night-set" }, company(me, others), invitation(me, others, first.viewer)),
    fault && problem(new Error(unusable(fault))),
    list,
    others.length ? null : alike(first.viewer.similarUsers ?? []),
  );
}

// A name that cannot be used, as the API quotes it in its message.
function unusable({ message }) {
  const [, name] = /'(.+)'\.$/.exec(message) ?? [];
  return `${name ? `The name ${name}` : "One of the names"} cannot be used: no member has it, or its owner has not allowed that on this page yet.`;
}

const joint = (first, find, signal) =>
  paged(first, {
    signal,
    item: ({ edge, requestId }, place) =>
      h("div", { class: "night-card" }, movieCard(edge.node, { requestId, position: place, heading: "h2", eager: place < 12, signal }), matches(edge.members)),
    more: find,
    none: "No movie is left that none of you has rated or rejected.",
  }).element;

const matches = (members) =>
  h(
    "ul",
    { class: "matches", "aria-label": "Match of each" },
    members.map(({ username, matchPercent }) => h("li", null, h("span", null, username), h("b", null, matchPercent === null ? "no match yet" : `${matchPercent}%`))),
  );

// Who is there, and a field to add one more.
function company(me, others) {
  const id = newId("member");
  const input = h("input", { id, name: "member", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: 64, required: true });
  const add = (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (name && name !== me) navigate(addressOf([...others, name]));
  };
  const member = (name) =>
    h(
      "li",
      { class: "member" },
      name,
      h("button", { type: "button", class: "bare", "aria-label": `Take ${name} out`, onclick: () => navigate(addressOf(others.filter((each) => each !== name))) }, icon("close")),
    );
  return h(
    "section",
    { class: "panel", "aria-label": "Members" },
    h("h2", null, "Who is there"),
    h("ul", { class: "row" }, h("li", { class: "member" }, `${me} (you)`), others.map(member)),
    others.length < MOST - 1
      ? h("form", { class: "inline-form", onsubmit: add }, h("label", { for: id }, "Add a member by name"), h("div", { class: "row" }, h("div", { class: "input" }, input), h("button", { type: "submit", class: "quiet" }, "Add")))
      : h("p", { class: "soft" }, `A night has at most ${MOST} members.`),
  );
}

// The address to send to others. It works for them once the member lets others use the name.
function invitation(me, others, viewer) {
  const id = newId("allow");
  const address = h("input", { readonly: true, "aria-label": "The invitation", value: `${location.origin}${addressOf([me, ...others])}`, onfocus: () => address.select() });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(address.value);
      toast("The link is copied. Send it to the others.");
    } catch {
      address.focus();
      toast("Copy the selected link, and send it to the others.");
    }
  };
  const link = h("div", { class: "row" }, h("div", { class: "input" }, address), h("button", { type: "button", class: "button", onclick: copy }, icon("link"), "Copy the link"));
  const box = h("input", { id, type: "checkbox", onchange: () => allow(box.checked) });
  const set = (allowed) => {
    box.checked = allowed;
    link.hidden = !allowed;
  };
  async function allow(allowed) {
    link.hidden = !allowed;
    try {
      await change("discoverable", { discoverable: allowed });
    } catch (error) {
      set(!allowed);
      toast(failed("This is not stored", error), { error: true });
    }
  }
  set(viewer.discoverable);
  return h(
    "section",
    { class: "panel", "aria-label": "Invitation" },
    h("h2", null, "Invite by link"),
    h("label", { class: "switch", for: id }, box, h("span", null, "Others who know my name may use it. They see how well movies match me.")),
    link,
  );
}

const alike = (users) =>
  users.length
    ? h(
        "section",
        { class: "panel" },
        h("h2", null, "Members of your taste"),
        h("ul", { class: "row" }, users.map(({ user, commonMovies }) => h("li", null, h("a", { class: "quiet", href: addressOf([user.username]) }, user.username, h("span", { class: "soft" }, plural(commonMovies, "movie in common", "movies in common")))))),
      )
    : null;
