// Movie night: one list for several members, with the match of each. Others come by a link; members who allow
// it may also be added by name, which is in the address.

import { ask, change } from "../core/api.js";
import { h, icon, newId, plural } from "../core/dom.js";
import { navigate } from "../core/router.js";
import { toast } from "../core/toasts.js";
import { movieCard } from "../parts/card.js";
import { paged } from "../parts/paged.js";
import { busyButton, failed, problem } from "../parts/states.js";

const MOST = 10; // members
const LOOK_MS = 5000; // for others who have joined

const addressOf = (names) => `/night${names.length ? "?" : ""}${names.map((name) => `with=${encodeURIComponent(name)}`).join("&")}`;

export async function page({ query, signal, reload }) {
  const { viewer } = await ask("night-now", {}, { signal });
  if (query.has("join")) return invited(query.get("join"), viewer.night);
  const { night, username: me } = viewer;
  const there = night?.usernames ?? [me];
  const added = [...new Set(query.getAll("with"))].filter((name) => name && !there.includes(name)).slice(0, MOST - there.length);
  const usernames = [me, ...there.filter((name) => name !== me), ...added];
  const find = async (after = null) => {
    const { groupRecommendations } = await ask("night", { usernames, after }, { signal });
    const { requestId, edges, pageInfo } = groupRecommendations;
    return { items: edges.map((edge) => ({ edge, requestId })), pageInfo };
  };
  const alone = usernames.length === 1;
  let content = null;
  try {
    content = alone ? alike((await ask("night-start", {}, { signal })).viewer.similarUsers) : joint(await find(), find, signal);
  } catch (error) {
    if (alone || error.retriable || signal.aborted) throw error;
    content = problem(new Error(unusable(error))); // the page lets the member take the name away
  }
  const element = h(
    "div",
    { class: "page", "data-title": "Movie night" },
    h(
      "div",
      { class: "page-head" },
      h("h1", null, "Movie night"),
      h("p", { class: "lead" }, alone ? "One list for all of you, with the match of each." : `What suits ${usernames.length === 2 ? "both" : `all ${usernames.length}`} of you. No one has rated or rejected these.`),
    ),
    h("div", { class: "night-set" }, invitation(night, reload), company(me, usernames, added)),
    content,
  );
  if (night) lookForOthers(element, there, { alone, signal, reload });
  return element;
}

// What a guest sees who follows the link: nothing is shared before they say so.
function invited(code, night) {
  const fault = h("div");
  const join = async () => {
    fault.replaceChildren();
    try {
      await change("join-night", { code });
      await navigate("/night", { replace: true });
    } catch (error) {
      fault.replaceChildren(problem(error));
    }
  };
  if (night?.code === code) queueMicrotask(() => navigate("/night", { replace: true }));
  return h(
    "div",
    { class: "page narrow", "data-title": "Movie night" },
    h("h1", null, "You are invited to a movie night"),
    h("p", { class: "lead" }, "One list of movies that suit all of you."),
    h("p", { class: "soft" }, "Those who are there see your name and how well movies match you, until the night ends or you leave it.", night ? " You leave the night that you are in." : null),
    fault,
    h("p", { class: "row" }, busyButton({ class: "button large" }, "Join the night", join), h("a", { class: "quiet large", href: "/night" }, "Not now")),
  );
}

// Others join on their own devices. A list that is being looked at is replaced only when the member says so.
function lookForOthers(element, there, { alone, signal, reload }) {
  const look = async () => {
    if (signal.aborted) return;
    const timer = () => setTimeout(look, LOOK_MS);
    if (document.hidden || !element.isConnected) return timer();
    try {
      const { viewer } = await ask("night-now", {}, { signal });
      const now = viewer.night?.usernames ?? [];
      if (now.join("\n") === there.join("\n")) return timer();
      const come = now.filter((name) => !there.includes(name));
      const news = come.length ? `${come.join(", ")} joined.` : "The company has changed.";
      if (!alone) return toast(news, { action: { label: "Show the list", act: reload } });
      toast(news);
      await reload();
    } catch {
      timer(); // the next look may succeed
    }
  };
  setTimeout(look, LOOK_MS);
}

// A name that cannot be used, as the API quotes it in its message.
function unusable({ message }) {
  const [, name] = /'(.+)'\.$/.exec(message) ?? [];
  return `${name ? `The name ${name}` : "One of the names"} cannot be used: no member has it, or its owner has not allowed that in the settings. Send the link instead.`;
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
function company(me, usernames, added) {
  const id = newId("member");
  const input = h("input", { id, name: "member", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: 64, required: true });
  const add = (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (name && !usernames.includes(name)) navigate(addressOf([...added, name]));
  };
  const out = (name) =>
    h("button", { type: "button", class: "bare", "aria-label": `Take ${name} out`, onclick: () => navigate(addressOf(added.filter((each) => each !== name))) }, icon("close"));
  return h(
    "section",
    { class: "panel", "aria-label": "Members" },
    h("h2", null, "Who is there"),
    h("ul", { class: "row" }, usernames.map((name) => h("li", { class: "member" }, name === me ? `${me} (you)` : name, added.includes(name) ? out(name) : null))),
    usernames.length < MOST
      ? h("form", { class: "inline-form", onsubmit: add }, h("label", { for: id }, "Add a member who can be found by name"), h("div", { class: "row" }, h("div", { class: "input" }, input), h("button", { type: "submit", class: "quiet" }, "Add")))
      : h("p", { class: "soft" }, `A night has at most ${MOST} members.`),
  );
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

// The link to send to others, or the button that makes one.
function invitation(night, reload) {
  const run = (act, text) => async () => {
    try {
      await act();
      await reload();
    } catch (error) {
      toast(failed(text, error), { error: true });
    }
  };
  const head = h("h2", null, "Invite by link");
  if (!night) {
    return h(
      "section",
      { class: "panel", "aria-label": "Invitation" },
      head,
      h("p", { class: "soft" }, "Make a link and send it. Those who follow it and you see each other's matches, for 12 hours."),
      h("p", { class: "row" }, busyButton({ class: "button" }, "Make the link", run(() => change("open-night"), "There is no link"))),
    );
  }
  const address = h("input", { readonly: true, "aria-label": "The invitation", value: `${location.origin}/night?join=${night.code}`, onfocus: () => address.select() });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(address.value);
      toast("The link is copied. Send it to the others.");
    } catch {
      address.focus();
      toast("Copy the selected link, and send it to the others.");
    }
  };
  return h(
    "section",
    { class: "panel", "aria-label": "Invitation" },
    head,
    h("div", { class: "row" }, h("div", { class: "input" }, address), h("button", { type: "button", class: "button", onclick: copy }, icon("link"), "Copy the link")),
    h("p", { class: "soft" }, `Who follows it joins you here. It ends at ${clock.format(new Date(night.endsAt))}.`),
    h("p", { class: "row" }, busyButton({ class: "quiet" }, "Leave the night", run(() => change("leave-night"), "You are still there"))),
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
