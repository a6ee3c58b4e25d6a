// The orders of this session: how far those are that are still made, and all of them for who asks.

import { dialog } from "../dialog.js";
import { icon } from "../icons.js";
import { arrange, byId, element, money, say } from "../page.js";
import { baseOf, choicesIn, inWords } from "./drink.js";
import { clockTime } from "./details.js";
import { words } from "./words.js";

const STEPS = ["received", "preparing", "ready"];

/** The orders of a model, on the page and in their drawer. */
export function ordersPanel({ model, menu, isAhead }) {
  const symbol = menu.currency.symbol;
  const base = baseOf(menu).name;
  const box = dialog({ kind: "sheet", title: words.ordersHeading });
  box.root.id = "orders-sheet";
  const none = element("p", "soft", words.ordersNone);
  const list = element("ol", "orders");
  // What scrolls and holds nothing to tap is reached by the keyboard itself.
  box.body.tabIndex = 0;
  box.body.setAttribute("role", "group");
  box.body.setAttribute("aria-label", words.ordersHeading);
  box.body.append(none, list);
  const shown = new Map();
  let listed = "";
  const opener = byId("open-orders");
  opener.replaceChildren(icon("list"), element("span", "button-words", words.ordersButton));
  opener.setAttribute("aria-label", words.ordersButton);
  opener.addEventListener("click", box.open);

  function progress(order) {
    if (!shown.has(order.order_id)) {
      shown.set(order.order_id, strip(order));
    }
    const made = shown.get(order.order_id);
    made.update(order);
    return made.root;
  }

  function strip(first) {
    const number = element("b", "progress-number", first.order_number);
    const time = element("span", "progress-time");
    const more = element("p", "progress-more");
    const steps = STEPS.map((name) => element("li", null, words.steps[name]));
    const track = element("ol", "progress-steps", ...steps);
    const head = element("h2", "progress-head", element("span", null, words.yourNumber), " ", number, " ", time);
    const root = element("li", "progress-order", head, track, more);
    root.dataset.order = first.order_number;
    return {
      root,
      update: (order) => {
        const at = STEPS.indexOf(order.status);
        root.dataset.status = order.status;
        steps.forEach((step, index) => {
          step.classList.toggle("done", index <= at);
          if (index === at) {
            step.setAttribute("aria-current", "step");
          } else {
            step.removeAttribute("aria-current");
          }
        });
        const isReady = order.status === "ready";
        say(time, !isReady && order.ready_at ? words.readyAt(clockTime(order.ready_at, menu.time_zone)) : "");
        say(more, isReady ? (isAhead ? words.readyMore : words.readyAtTable) : "");
      },
    };
  }

  function entry(order) {
    const facts = element("p", "soft", `${order.status_label} · ${words.placedAt(clockTime(order.placed_at, menu.time_zone))}`);
    const items = order.items.map((item) => {
      const what = [`${words.times(item.quantity)} ${item[base]}`].concat(inWords(menu, choicesIn(menu, item)));
      const note = item.note ? element("span", "soft", ` ${words.noteOf(item.note)}`) : "";
      return element("li", null, what.join(" · "), note);
    });
    const head = element("h3", null, words.orderNumber(order.order_number), element("span", null, money(order.total, symbol)));
    return element("li", "order", head, facts, element("ul", null, ...items));
  }

  function update() {
    const { underway } = model;
    arrange(byId("progress"), underway.map(progress));
    byId("progress").hidden = underway.length === 0;
    const { orders } = model.cart;
    opener.hidden = orders.length === 0;
    none.hidden = orders.length > 0;
    const now = JSON.stringify(orders);
    if (listed !== now) {
      listed = now;
      list.replaceChildren(...orders.slice().reverse().map(entry));
    }
  }

  return { update };
}
