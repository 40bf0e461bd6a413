// What surrounds every page: the header with navigation and search, the messages, the footer.

import { explored } from "../manifest.js";
import { h, icon } from "./dom.js";
import { onNavigate } from "./router.js";
import { searchBox } from "./search-box.js";
import { send } from "./seen.js";
import { begin, leave, onSession, session } from "./session.js";
import { toast, toasts } from "./toasts.js";
import { failed } from "../parts/states.js";

// The navigation, and the member's menu. An entry shows for visitors where `needs` is null, else for all
// members, or for those with that role.
const ENTRIES = [
  { path: "/", label: "Home", icon: "home", needs: null },
  { path: "/for-you", label: "For you", icon: "heart", needs: "member" },
  { path: "/search", label: "Browse", icon: "search", needs: null },
  { path: "/mine", label: "Mine", icon: "bookmark", needs: "member" },
  { path: "/night", label: "Night", icon: "people", needs: "member" },
];
const MENU = [
  { path: "/settings", label: "Settings", needs: "member" },
  { path: "/import", label: "Import ratings", needs: "member" },
  { path: "/operate", label: "Operate", needs: "ADMIN" },
  { path: "/operate/movies", label: "Edit movies", needs: "CURATOR" },
];

const may = (entry) => !entry.needs || (session() && (entry.needs === "member" || session().role === entry.needs));

export function frame() {
  const main = h("main", { id: "main" });
  const navigation = h("nav", { class: "places", "aria-label": "Main" });
  const account = h("div", { class: "account" });
  const header = h(
    "header",
    { class: "top" },
    h("a", { class: "brand", href: "/" }, h("span", { class: "brand-mark", "aria-hidden": "true" }, "M"), "Marquee"),
    navigation,
    searchBox(),
    account,
  );
  const footer = h(
    "footer",
    { class: "foot" },
    h("p", null, "Marquee. Every match is computed here, from your own ratings."),
    explored && h("a", { href: "/graphql" }, "The API"),
  );
  const skip = h("a", { class: "skip", href: "#main", onclick: skipTo(main) }, "Skip to the content");
  document.body.replaceChildren(skip, header, main, footer, toasts());
  const draw = () => {
    navigation.replaceChildren(...ENTRIES.filter(may).map(link));
    account.replaceChildren(...accountOf(session()));
    mark(navigation);
  };
  begin().catch(() => {}).finally(draw); // so that members do not see what visitors see
  onSession(draw);
  onNavigate(() => mark(navigation));
  return main;
}

const skipTo = (main) => (event) => {
  event.preventDefault();
  const heading = main.querySelector("h1") ?? main;
  heading.tabIndex = -1;
  heading.focus();
};

const link = (entry) => h("a", { href: entry.path }, icon(entry.icon), h("span", null, entry.label));

function mark(navigation) {
  for (const each of navigation.children) {
    const here = each.pathname === "/" ? location.pathname === "/" : location.pathname.startsWith(each.pathname);
    if (here) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
}

function accountOf(member) {
  if (!member) {
    return [h("a", { class: "quiet", href: "/sign-in" }, "Sign in"), h("a", { class: "button", href: "/join" }, "Join")];
  }
  const out = async () => {
    try {
      await send();
      await leave();
    } catch (error) {
      toast(failed("You are still signed in", error), { error: true });
    }
  };
  const entries = MENU.filter(may).map((entry) => h("a", { href: entry.path }, entry.label));
  const menu = h(
    "details",
    { class: "menu", onfocusout: ({ relatedTarget }) => relatedTarget && !menu.contains(relatedTarget) && close() },
    h("summary", { "aria-label": `Menu of ${member.username}` }, icon("person"), h("span", null, member.username)),
    h("div", { class: "menu-body" }, h("p", { class: "soft" }, member.username), entries, h("button", { type: "button", onclick: out }, "Sign out")),
  );
  const close = () => menu.removeAttribute("open");
  menu.addEventListener("click", ({ target }) => target.closest("a") && close());
  menu.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    close();
    menu.firstChild.focus();
  });
  return [menu];
}
