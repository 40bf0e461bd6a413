// Join, the first of three steps: a name and a password. The router leads on to the genres.

import { h } from "../core/dom.js";
import { accountForm } from "../parts/account-form.js";
import { steps } from "../parts/steps.js";

const LEAST = 8;
const LEAST_DIFFERENT = 4;

// The rules of the service that a browser can check. The service also refuses common passwords.
function rules(password, username) {
  const left = LEAST - [...password].length;
  if (left > 0) return `At least ${LEAST} characters: ${left} more.`;
  if (password.toLowerCase() === username.trim().toLowerCase()) return "Not the same as your name.";
  const different = LEAST_DIFFERENT - new Set(password.toLowerCase()).size;
  if (different > 0) return `At least ${LEAST_DIFFERENT} different characters: ${different} more.`;
  return null;
}

export async function page() {
  return h(
    "div",
    { class: "page narrow" },
    steps(1),
    h("h1", null, "Join Marquee"),
    accountForm("signUp", "Go on", { hint: "At least 8 characters, 4 of them different.", rules }),
    h("p", { class: "soft" }, "You have an account? ", h("a", { href: "/sign-in" }, "Sign in"), "."),
  );
}
