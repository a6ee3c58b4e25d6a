// The last orders, newest first, with a search; each row opens the whole order.

import { dialog } from "./dialog.js";
import { newestFirst, search } from "./console-model.js";
import { arrange, element, moment, money, say } from "./page.js";
import { text } from "./text.js";

/** The drawer. `open()` shows it, `show(snapshot)` brings it up to date; `onOpen(entry)` is called for a tapped row. */
export function orderList(onOpen) {
  const rows = new Map();
  let snapshot = null;

  const field = element("input", "field");
  field.type = "search";
  field.id = "search";
  field.autocomplete = "off";
  field.placeholder = text.searchHint;
  const label = element("label", "field-label", text.searchLabel);
  label.htmlFor = field.id;
  const list = element("ol", "rows");
  list.id = "recent";
  const nothing = element("p", "soft");
  const count = element("p", "unseen");
  count.setAttribute("role", "status");
  const box = dialog({ kind: "drawer", title: text.lastOrders });
  box.root.id = "list-drawer";
  box.body.append(element("div", "search", label, field), count, nothing, list);
  field.addEventListener("input", () => {
    show(snapshot);
    say(count, snapshot === null ? "" : text.found(list.children.length));
  });

  function show(next) {
    snapshot = next;
    if (!box.isOpen()) {
      return;
    }
    if (snapshot === null) {
      say(nothing, text.connecting);
      return;
    }
    const found = search(newestFirst(snapshot), field.value);
    const ids = new Set(found.map((entry) => entry.order.order_id));
    rows.forEach((row, id) => {
      if (!ids.has(id)) {
        rows.delete(id);
      }
    });
    arrange(list, found.map(rowOf));
    say(nothing, found.length === 0 ? (field.value ? text.nothingFound : text.nothingYet) : "");
  }

  function rowOf(entry) {
    const id = entry.order.order_id;
    if (!rows.has(id)) {
      rows.set(id, orderRow(onOpen));
    }
    rows.get(id).show(entry, snapshot.settings.currency);
    return rows.get(id).root;
  }

  return {
    show,
    open: () => {
      box.open();
      show(snapshot);
      field.focus();
    },
  };
}

function orderRow(onOpen) {
  let entry = null;
  let shownAs = "";
  const number = element("b", "row-number");
  const status = element("span", "row-status");
  const name = element("span", "row-name");
  const total = element("span", "row-total");
  const time = element("time", "row-time");
  const button = element("button", "row", number, status, name, total, time);
  button.type = "button";
  button.addEventListener("click", () => onOpen(entry));
  const root = element("li", "", button);

  function show(next, currency) {
    entry = next;
    const { order } = entry;
    const as = JSON.stringify([order.version, order.name, order.total]);
    if (as === shownAs) {
      return;
    }
    shownAs = as;
    root.dataset.order = order.order_number;
    root.dataset.status = order.status;
    number.textContent = order.order_number;
    status.textContent = text.statuses[order.status] || order.status;
    name.textContent = order.name || (order.phone ? text.maskedPhone(order.phone.slice(-2)) : "");
    total.textContent = money(order.total, currency);
    time.textContent = moment(new Date(order.created_at * 1000));
  }

  return { root, show };
}
