// A list with a button for more. What is shown stays when more cannot be loaded.

import { h } from "../core/dom.js";
import { busyButton, empty, problem } from "./states.js";

// `item`: the element of an entry. `more`: requests the page after a cursor, as { items, pageInfo }. `none`:
// what to show instead of an empty list. Returns the element, and `replace`, which shows another list.
export function paged({ items, pageInfo }, { item, more, none = "There is nothing here yet.", kind = "grid", signal }) {
  const list = h("ul", { class: kind });
  const foot = h("div", { class: "more" });
  const element = h("div", { class: "paged" }, list, foot);
  let state = { pageInfo };

  const button = busyButton({ class: "quiet large" }, "Show more", async () => {
    const asked = state;
    foot.querySelector(".problem")?.remove();
    try {
      const next = await more(asked.pageInfo.endCursor);
      if (asked !== state) return; // another list is shown by now
      state = { pageInfo: next.pageInfo };
      const added = add(next.items);
      added[0]?.querySelector("a, input, button")?.focus({ preventScroll: true });
      button.hidden = !next.pageInfo.hasNextPage;
    } catch (error) {
      if (!signal.aborted) foot.append(problem(error));
    }
  });
  const add = (entries) => {
    const added = entries.map((entry) => h("li", null, item(entry, list.children.length)));
    list.append(...added);
    return added;
  };
  function replace(page) {
    state = { pageInfo: page.pageInfo };
    list.replaceChildren();
    add(page.items);
    foot.replaceChildren(...(page.items.length ? [button] : [typeof none === "string" ? empty(none) : none()]));
    button.hidden = !page.pageInfo.hasNextPage;
  }
  replace({ items, pageInfo });
  return { element, replace, list };
}
