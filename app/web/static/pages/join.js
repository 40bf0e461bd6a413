// Join, the first of three steps: a name and a password. The router leads on to the genres.

import { h } from "../core/dom.js";
import { accountForm } from "../parts/account-form.js";
import { PASSWORD_HINT, passwordRules } from "../parts/password.js";
import { steps } from "../parts/steps.js";

export async function page() {
  return h(
    "div",
    { class: "page narrow" },
    steps(1),
    h("h1", null, "Join Marquee"),
    accountForm("signUp", "Go on", { hint: PASSWORD_HINT, rules: passwordRules }),
    h("p", { class: "soft" }, "You have an account? ", h("a", { href: "/sign-in" }, "Sign in"), "."),
  );
}
