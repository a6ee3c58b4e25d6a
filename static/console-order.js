// One whole order in a dialog, with all that happened to it; and the dialog that asks why an order is cancelled.
//
// Both follow their order while they are open: what is changed elsewhere is shown here as it happens.

import { orderCard } from "./card.js";
import { dialog } from "./dialog.js";
import { element, moment, say } from "./page.js";
import { get } from "./server.js";
import { text } from "./text.js";

/** The dialog of one order. `open(entry, context)`, `show(entry, context)` while it is open, `tick()`, `shownId()`. */
export function orderDialog(desk, hooks) {
  let card = null;
  let entry = null;
  let id = null;
  // Why things were done, which only the order's record tells: by the moment of the change; and the version it was read of.
  let reasons = new Map();
  let readOf = 0;
  const history = element("ol", "history");
  const heading = element("h3", "history-heading", text.history);
  const place = element("div", "whole-order");
  const box = dialog({ kind: "box wide", title: "", onClose: () => (id = null) });
  box.root.id = "order-dialog";
  box.body.append(place, heading, history);

  function open(next, context) {
    id = next.order.order_id;
    reasons = new Map();
    readOf = 0;
    card = orderCard(Object.assign({}, hooks, { desk, onOpen: null }));
    place.textContent = "";
    place.append(card.root);
    show(next, context);
    box.open();
    box.heading.focus();
  }

  function show(next, context) {
    if (next.order.order_id === id) {
      entry = next;
      const { order } = entry;
      say(box.heading, text.orderHeading(order.order_number));
      card.show(entry, context);
      showHistory();
      if (readOf !== order.version) {
        readOf = order.version;
        readReasons(id, order.version);
      }
    }
  }

  function showHistory() {
    history.textContent = "";
    history.append(...(entry.order.history || []).map((one) => step(one, reasons.get(Date.parse(one.at)))));
  }

  async function readReasons(of, version) {
    try {
      const { changes } = await get(`/api/v1/orders/${encodeURIComponent(of)}/audit`);
      if (of === id && readOf === version) {
        reasons = new Map(changes.filter(({ reason }) => reason).map(({ at, reason }) => [Date.parse(at), reason]));
        showHistory();
      }
    } catch (error) {
      // What happened is there without them; they are asked for again when it is shown anew.
      if (of === id && readOf === version) {
        readOf = 0;
      }
    }
  }

  return {
    open,
    show,
    tick: () => id !== null && card.tick(),
    shownId: () => id,
    /** What was shown last. */
    shown: () => entry,
    changed: () => card && card.changed(text.changedNow),
    gone: () => card && card.fail(text.orderGone),
  };
}

function step({ status, at, by }, reason) {
  const words = [text.statuses[status] || status, text.by[by] || by].filter(Boolean).join(" · ");
  return element(
    "li",
    "step",
    element("time", "step-time", moment(new Date(at))),
    element("span", "step-what", words),
    reason ? element("span", "step-why", reason) : "",
  );
}

/**
 * The dialog that asks for a reason. `open(entry)` shows it; `show(entry)` tells it how the order stands now; `signedIn()`
 * takes back what was said because nobody was. `notice(words)` says what went wrong after it was closed.
 */
export function cancelDialog(desk, notice) {
  let entry = null;
  // How the order stands, where that was heard while the server was being asked.
  let later = null;
  // The orders that are being cancelled.
  const busy = new Set();

  const changed = element("p", "card-problem");
  const problem = element("p", "card-problem");
  problem.setAttribute("role", "alert");
  changed.setAttribute("role", "alert");
  const free = element("input", "field");
  free.type = "text";
  free.id = "cancel-reason";
  free.maxLength = 200;
  free.autocomplete = "off";
  const label = element("label", "field-label", text.otherReason);
  label.htmlFor = free.id;
  const send = element("button", "button danger", text.cancelOrder);
  send.type = "submit";
  const form = element("form", "reason-form", label, free, send);
  const reasons = element("div", "reasons", ...text.cancelReasons.map(reasonButton));
  const box = dialog({ kind: "box", title: "", onClose: () => (entry = null) });
  box.root.id = "cancel-dialog";
  box.body.append(element("p", "soft", text.cancelWhy), changed, reasons, form, problem);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    cancel(free.value.trim());
  });

  function reasonButton(reason) {
    const made = element("button", "button reason", reason);
    made.type = "button";
    made.addEventListener("click", () => cancel(reason));
    return made;
  }

  async function cancel(reason) {
    const id = shownId();
    if (id === null || busy.has(id)) {
      return;
    }
    busy.add(id);
    later = null;
    const words = await desk.act(entry, "cancel", reason);
    busy.delete(id);
    if (shownId() !== id) {
      // Closed meanwhile, or asking about another order.
      if (words !== "") {
        notice(words);
      }
    } else if (words === "") {
      box.close();
    } else {
      say(problem, words);
      show(later || entry);
    }
  }

  function open(next) {
    entry = next;
    later = null;
    allow();
    say(box.heading, text.cancelHeading(entry.order.order_number));
    say(changed, "");
    say(problem, "");
    free.value = "";
    box.open();
    reasons.firstChild.focus();
  }

  // Decided on an order that is another one by now: said, and from here on it is the new one that is decided on.
  function show(next) {
    if (entry === null || next.order.order_id !== entry.order.order_id || next.order.version === entry.order.version) {
      return;
    }
    if (busy.has(shownId())) {
      later = next;
      return;
    }
    entry = next;
    const { order } = next;
    const status = text.statuses[order.status] || order.status;
    say(changed, text.changedMeanwhile(order.order_number, status));
    allow();
  }

  function allow() {
    const may = desk.actions(entry).indexOf("cancel") >= 0;
    [send].concat(Array.from(reasons.children)).forEach((made) => (made.disabled = !may));
  }

  function shownId() {
    return entry === null ? null : entry.order.order_id;
  }

  return { open, show, shownId, signedIn: () => say(problem, "") };
}
