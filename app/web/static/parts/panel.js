// Panels of settings and of operators: a section with a heading, and what its forms and tables have in common.

import { h, newId } from "../core/dom.js";

export const panel = (title, ...children) => {
  const id = newId("panel");
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, title), ...children);
};

const dateTime = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const dateOnly = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
export const at = (text) => (text ? h("time", { datetime: text, title: dateTime.format(new Date(text)) }, dateTime.format(new Date(text))) : "–");
export const onDay = (text) => (text ? h("time", { datetime: text, title: dateTime.format(new Date(text)) }, dateOnly.format(new Date(text))) : "–");

// A table. `columns`: the names of its columns; null for one of buttons. The first cell of a row names the row.
export function table(caption, columns, rows, { shown = false, kind = "" } = {}) {
  const body = h("tbody", null, rows.map((row) => tableRow(columns, row)));
  const element = h(
    "div",
    { class: "table-frame", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      { class: `table ${kind}` },
      h("caption", { class: shown ? null : "hidden-text" }, caption),
      h("thead", null, h("tr", null, columns.map((name) => h("th", { scope: "col" }, name ?? h("span", { class: "hidden-text" }, "Actions"))))),
      body,
    ),
  );
  return { element, body, add: (more) => body.append(...more.map((row) => tableRow(columns, row))) };
}

// On a phone a row is a block, and each cell has the name of its column before it.
export const tableRow = (columns, cells) =>
  h(
    "tr",
    null,
    cells.map((cell, place) =>
      h(place ? "td" : "th", { ...(place ? {} : { scope: "row" }), "data-label": place ? columns[place] : null, class: columns[place] === null ? "acts" : null }, cell),
    ),
  );

// A button whose first press asks for a second one, for what cannot be undone.
export function sureButton(label, sure, act) {
  let timer = 0;
  const button = h("button", { type: "button", class: "quiet danger" }, label);
  const calm = () => {
    clearTimeout(timer);
    button.textContent = label;
    button.classList.remove("is-asking");
  };
  button.addEventListener("blur", calm);
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled")) return;
    if (!button.classList.contains("is-asking")) {
      button.textContent = sure;
      button.classList.add("is-asking");
      timer = setTimeout(calm, 6000);
      return;
    }
    calm();
    button.setAttribute("aria-disabled", "true");
    try {
      await act();
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
  return button;
}

// A form whose button is not pressed twice, and whose failure shows above the button.
export function actForm(label, fields, act, { kind = "button", quiet = false } = {}) {
  const fault = h("p", { class: "fault", role: "alert" });
  const submit = h("button", { type: "submit", class: quiet ? "quiet" : kind }, label);
  const send = async (event) => {
    event.preventDefault();
    if (submit.getAttribute("aria-disabled")) return;
    fault.textContent = "";
    submit.setAttribute("aria-disabled", "true");
    try {
      await act(fault);
    } catch (error) {
      fault.textContent = error.message;
    } finally {
      submit.removeAttribute("aria-disabled");
    }
  };
  return h("form", { class: "form", novalidate: true, onsubmit: send }, fields, fault, h("p", { class: "row" }, submit));
}
