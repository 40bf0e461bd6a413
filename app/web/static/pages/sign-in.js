// Sign in. The router leads on to where the member came from.

import { demo } from "../manifest.js";
import { h } from "../core/dom.js";
import { accountForm } from "../parts/account-form.js";

export async function page({ query }) {
  const next = query.get("next");
  return h(
    "div",
    { class: "page narrow" },
    h("h1", null, "Sign in"),
    next && h("p", { class: "lead" }, "Sign in to see this page."),
    accountForm("logIn", "Sign in"),
    h("p", { class: "soft" }, "No account yet? ", h("a", { href: next ? `/join?next=${encodeURIComponent(next)}` : "/join" }, "Join"), "."),
    demo && h("p", { class: "soft" }, `To look around, sign in as ${demo[0]} with the password ${demo[1]}.`),
  );
}
