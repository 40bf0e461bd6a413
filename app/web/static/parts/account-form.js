// The form with a name and a password, to join or to sign in.

import { h, newId } from "../core/dom.js";
import { enter } from "../core/session.js";

// `action`: "signUp" or "logIn". `rules`: the fault of the password so far, or null.
export function accountForm(action, label, { hint = null, rules = null } = {}) {
  const joins = action === "signUp";
  const username = field("username", "Name", { autocomplete: "username", autocapitalize: "none", spellcheck: "false", maxlength: 64 }, joins ? "Others see it only if you allow that." : null);
  const password = field("password", "Password", { type: "password", autocomplete: joins ? "new-password" : "current-password" }, hint);
  const show = h("button", { type: "button", class: "bare", "aria-pressed": "false", onclick: () => toggle() }, "Show");
  password.input.after(show);
  const general = h("p", { class: "fault", role: "alert" });
  const submit = h("button", { type: "submit", class: "button large" }, label);
  const form = h("form", { class: "form", novalidate: true, onsubmit: send }, username.element, password.element, general, submit);
  const fields = { username, password };

  function toggle() {
    const shown = password.input.type === "text";
    password.input.type = shown ? "password" : "text";
    show.textContent = shown ? "Show" : "Hide";
    show.setAttribute("aria-pressed", String(!shown));
  }
  function tell() {
    const fault = rules(password.input.value, username.input.value);
    password.say(fault ?? "This password is fine.", { good: !fault });
  }
  if (rules) {
    password.input.addEventListener("input", tell);
    username.input.addEventListener("input", () => password.input.value && tell());
  }
  async function send(event) {
    event.preventDefault();
    if (submit.getAttribute("aria-disabled")) return;
    general.textContent = "";
    for (const each of [username, password]) each.fault("");
    if (!username.input.value.trim()) return username.fault(joins ? "Choose a name." : "Enter your name.");
    const fault = joins ? rules?.(password.input.value, username.input.value) : password.input.value ? null : "Enter your password.";
    if (fault) return password.fault(fault);
    submit.setAttribute("aria-disabled", "true");
    try {
      const problem = await enter(action, username.input.value, password.input.value);
      if (problem) fields[problem.field].fault(problem.message);
    } catch (error) {
      general.textContent = error.message;
    } finally {
      submit.removeAttribute("aria-disabled");
    }
  }
  return form;
}

// A field with its label, its hint, and its fault. With `rows` it takes several lines.
export function field(name, label, attributes, hint = null) {
  const id = newId(name);
  const hintLine = h("p", { id: `${id}-hint`, class: "hint", "aria-live": "polite" }, hint ?? "");
  const input = h(attributes.rows ? "textarea" : "input", { id, name, required: true, "aria-describedby": `${id}-hint`, ...attributes });
  const element = h("div", { class: "field" }, h("label", { for: id }, label), h("div", { class: "input" }, input), hintLine);
  const say = (text, { good = false } = {}) => {
    hintLine.textContent = text;
    hintLine.classList.toggle("good", good);
    hintLine.classList.remove("fault");
    input.removeAttribute("aria-invalid");
  };
  const fault = (text) => {
    say(text || (hint ?? ""));
    if (!text) return;
    hintLine.classList.add("fault");
    input.setAttribute("aria-invalid", "true");
    input.focus();
  };
  return { element, input, say, fault };
}
