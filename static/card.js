// One order for staff: what to make, for whom, what became of its texts, and what may be done with it.
//
// The same element stands on the board and, whole, in the dialog of one order. Which card stands where is the console's
// business, what a status allows is the model's, and every change goes through the desk.

import { failureList } from "./failures.js";
import { lineList } from "./console-lines.js";
import { icon } from "./icons.js";
import { isStuck, isTakenAnyway, since, tableOf } from "./console-model.js";
import { age, element, minutesSince, money, readable, say } from "./page.js";
import { now } from "./server.js";
import { text } from "./text.js";

// After a card has changed or moved, another button may stand under the finger that is tapping a second time.
const SETTLE_MS = 700;
// A text that was owed has mostly been taken by the carrier after so long.
const TEXTED_MS = 2000;
// A text that is still owed after so long is worth a word.
const OWED_LONG_MS = 30000;
const CHANGED_SHOWN_MS = 60000;
const PROBLEM_SHOWN_MS = 15000;

const NEVER_SENT = ["skipped", "dropped"];

const BIG = ["accept", "start", "done", "pickup", "undo", "recall"];
const SMALL = ["rush", "cancel"];
const ICONS = { rush: "rush", cancel: "close" };

// The menus that stand open, as `{ root, close }`. Whatever else is tapped, a menu left open closes.
const openMenus = new Set();
document.addEventListener("pointerdown", (event) => {
  openMenus.forEach((menu) => {
    if (!menu.root.contains(event.target)) {
      menu.close();
    }
  });
});

/**
 * A card. `root` is its element; `show(entry, context)` brings it up to date and answers whether anything about it
 * changed; `tick()` does that for what only time changes; `main()` does what its first button says; `settle()` makes its
 * buttons deaf for a moment; `changed()` says for a while that its order was changed by somebody else.
 *
 * `context` is `{ menu, settings, failures, key }`; `key` is the number key of the card, or 0. `desk` is the desk,
 * `onCancel(entry)` and `onPrint(entry)` open what these need, `onOpen(entry)` the whole order (null: this is it);
 * `mayReveal()` tells whether a phone number may be seen whole.
 */
export function orderCard({ desk, onTried, onCancel, onPrint, onOpen, mayReveal }) {
  let entry = null;
  let context = null;
  let shownAs = "";
  let phoneOpen = false;
  let menuOpen = false;
  let stuck = false;
  let busy = false;
  let settling = 0;
  let changedUntil = 0;
  let problemGone = 0;

  const number = element("h3", "card-number");
  const when = element("time", "card-age");
  const late = element("span", "card-late");
  const channel = element("span", "card-channel");
  const rush = element("span", "badge badge-rush", icon("rush"), text.rush);
  const news = element("span", "badge badge-changed");
  const status = element("span", "card-status");
  const name = element("span", "card-name");
  const table = element("span", "card-table");
  const till = element("p", "card-till");
  const lines = lineList(tickLine);
  const summary = element("p", "card-summary");
  const notes = element("p", "card-notes");
  const failed = failureList(onTried);
  const problem = element("p", "card-problem");
  problem.setAttribute("role", "alert");
  const total = element("span", "card-total");
  const phone = button("phone", "", () => {
    phoneOpen = !phoneOpen && mayReveal();
    showPhone();
  });
  const texts = element("span", "card-texts");
  const key = element("kbd", "card-key");
  key.setAttribute("aria-hidden", "true");
  const buttons = new Map();
  BIG.concat(SMALL).forEach((action) => buttons.set(action, button(`button action action-${action}`, action, () => tap(action))));
  const print = button("button action action-print", "print", () => {
    toggle(false);
    onPrint(entry);
  });
  const whole = button("button action action-open", "open", () => {
    toggle(false);
    onOpen(entry);
  });
  const more = button("icon-button card-more", "more", () => toggle(!menuOpen));
  more.append(icon("more"));
  const menu = element("div", "card-menu", buttons.get("rush"), whole, print, buttons.get("cancel"));
  const bar = element("div", "card-actions", ...BIG.map((action) => buttons.get(action)), onOpen ? more : "");
  const root = element(
    onOpen ? "li" : "article",
    onOpen ? "card" : "card card-whole",
    element(
      "div",
      "card-head",
      number,
      element("span", "card-badges", rush, news),
      element("span", "card-facts", when, late),
    ),
    element("p", "card-who", table, name, channel, status),
    till,
    lines.root,
    summary,
    notes,
    failed.root,
    element("div", "card-foot", element("span", "card-sums", total, texts), phone),
    problem,
    bar,
    menu,
  );
  const openMenu = { root, close: () => toggle(false) };
  root.tabIndex = -1;
  say(problem, "");
  say(news, "");
  print.append(icon("print"), text.print);
  print.dataset.action = "print";
  whole.append(icon("list"), text.wholeOrder);
  whole.hidden = !onOpen;
  if (onOpen) {
    menu.hidden = true;
    more.setAttribute("aria-expanded", "false");
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && menuOpen) {
        event.stopPropagation();
        toggle(false);
        more.focus();
      }
    });
  }

  function button(className, action, onTap) {
    const made = element("button", className);
    made.type = "button";
    if (action) {
      made.dataset.action = action;
    }
    made.addEventListener("click", () => {
      if (!root.classList.contains("settling")) {
        onTap();
      }
    });
    return made;
  }

  function toggle(open) {
    if (!onOpen) {
      return;
    }
    menuOpen = open;
    openMenus[open ? "add" : "delete"](openMenu);
    // Before it is hidden: a dialog gives the focus back to what has it when it opens.
    if (!open && menu.contains(document.activeElement)) {
      more.focus({ preventScroll: true });
    }
    menu.hidden = !open;
    more.setAttribute("aria-expanded", String(open));
    root.classList.toggle("menu-open", open);
  }

  function show(next, nextContext) {
    const before = entry;
    entry = next;
    context = nextContext;
    const { order } = entry;
    const made = desk.made(entry);
    // Why the till refused it stands above, with what can be done about it.
    failed.show(context.failures.filter(({ delivery }) => order.status !== "pending" || delivery.kind !== "pos_ticket"));
    const as = JSON.stringify([entry, Array.from(made), context.key, context.menu.length, context.failures.length]);
    if (as === shownAs) {
      tick();
      return false;
    }
    shownAs = as;
    root.dataset.order = order.order_number;
    root.dataset.status = order.status;
    root.dataset.id = order.order_id;
    root.classList.toggle("rushed", entry.rushed_at !== null);
    number.textContent = order.order_number;
    number.setAttribute("aria-label", text.orderHeading(order.order_number));
    rush.hidden = entry.rushed_at === null;
    say(channel, text.channels[order.channel] || order.channel);
    // What the till line says is that it is pending, and more.
    say(status, order.status === "pending" && tillLine(entry) ? "" : text.statuses[order.status] || order.status);
    till.classList.toggle("alarming", isTakenAnyway(entry));
    const at = tableOf(order);
    say(table, at && text.atTable(at));
    say(name, order.name || (onOpen || at ? "" : text.noName));
    name.classList.toggle("soft", !order.name);
    const short = onOpen !== null && order.status === "ready";
    lines.root.hidden = short;
    lines.show(order, made, context.menu, onOpen !== null || ["received", "preparing"].indexOf(order.status) >= 0);
    say(summary, short ? lines.summary() : "");
    root.classList.toggle("all-made", lines.count() > 0 && made.size >= lines.count());
    say(notes, order.notes && text.orderNotes(order.notes));
    total.textContent = text.total(money(order.total, context.settings.currency));
    if (before !== null && (before.order.version !== order.version || before.order.status !== order.status)) {
      say(problem, "");
    }
    if (before !== null && before.order.status !== order.status) {
      settle();
    }
    labelButtons();
    showPhone();
    tick();
    return true;
  }

  function labelButtons() {
    const { order } = entry;
    const may = desk.actions(entry);
    // What has to be decided is decided on the card, not in a menu.
    stuck = may.indexOf("accept") >= 0;
    root.classList.toggle("stuck", stuck);
    const home = stuck ? bar : menu;
    if (buttons.get("cancel").parentNode !== home) {
      home.insertBefore(buttons.get("cancel"), stuck && onOpen ? more : null);
    }
    const first = may.find((action) => BIG.indexOf(action) >= 0);
    buttons.forEach((made, action) => {
      made.hidden = may.indexOf(action) < 0;
      made.classList.toggle("main", action === first);
      const on = entry.rushed_at !== null;
      const words = action === "rush" && on ? text.unrush : text.actions[action];
      const label = `${words} ${order.order_number}`;
      if (made.dataset.label !== label) {
        made.dataset.label = label;
        made.textContent = "";
        made.append(...(ICONS[action] ? [icon(ICONS[action])] : []), words, ofOrder());
      }
      made.removeAttribute("aria-keyshortcuts");
    });
    if (first && context.key > 0) {
      key.textContent = context.key;
      buttons.get(first).append(key);
      buttons.get(first).setAttribute("aria-keyshortcuts", String(context.key));
    } else {
      key.remove();
    }
    const gone = entry.texts && entry.texts.ready === "sent";
    const recall = buttons.get("recall");
    recall.title = gone && !recall.hidden ? text.recallAfterText : "";
    more.setAttribute("aria-label", `${text.moreActions}${text.ofOrder(order.order_number)}`);
    if (may.length === 0 && menuOpen) {
      toggle(false);
    }
  }

  // A screen reader walks from button to button and has to be told whose it is.
  function ofOrder() {
    return element("span", "unseen", text.ofOrder(entry.order.order_number));
  }

  function tick() {
    const { order } = entry;
    const ready = order.status === "ready";
    const seconds = ready ? Date.parse(since(order)) / 1000 : order.created_at;
    const words = age(seconds);
    if (when.textContent !== words) {
      when.textContent = words;
      when.dateTime = order.timestamp || "";
    }
    const minutes = minutesSince(order.created_at);
    const working = ["pending", "received", "preparing"].indexOf(order.status) >= 0;
    const level = !working ? "" : minutes >= context.settings.red_minutes ? "red" : minutes >= context.settings.amber_minutes ? "amber" : "";
    if (root.dataset.late !== level) {
      root.dataset.late = level;
      say(late, level === "red" ? text.late : level === "amber" ? text.lateSoon : "");
    }
    say(texts, textsLine(entry));
    say(till, tillLine(entry));
    if (isStuck(entry, now()) !== stuck) {
      keepFocusIn(labelButtons);
      settle();
    }
    if (phoneOpen && !mayReveal()) {
      phoneOpen = false;
      showPhone();
    }
    if (changedUntil > 0 && performance.now() > changedUntil) {
      changedUntil = 0;
      say(news, "");
    }
    // What is an undo now is a recall in a moment.
    const undoing = !buttons.get("undo").hidden;
    if (undoing && desk.actions(entry).indexOf("undo") < 0) {
      keepFocusIn(labelButtons);
      // Now the text goes out, which nothing announces.
      setTimeout(onTried, TEXTED_MS);
      if (onOpen === null || order.status === "ready") {
        settle();
      }
    }
  }

  function keepFocusIn(work) {
    const had = root.contains(document.activeElement) ? document.activeElement : null;
    work();
    if (had !== null && had.hidden) {
      root.focus({ preventScroll: true });
    }
  }

  function showPhone() {
    const { order } = entry;
    phone.hidden = !order.phone;
    if (order.phone) {
      const end = order.phone.slice(-2);
      const words = phoneOpen ? readable(order.phone) : text.maskedPhone(end);
      if (phone.textContent !== words) {
        phone.textContent = "";
        phone.append(icon("phone"), words);
        phone.setAttribute("aria-label", phoneOpen ? text.hidePhone(readable(order.phone)) : text.showPhone(end));
      }
      phone.setAttribute("aria-expanded", String(phoneOpen));
    }
  }

  async function tickLine(index, made) {
    fail(await desk.mark(entry, index, made));
  }

  async function tap(action) {
    toggle(false);
    if (action === "cancel") {
      onCancel(entry);
      return;
    }
    if (busy || desk.isWorking(entry.order.order_id)) {
      return;
    }
    const tapped = buttons.get(action);
    busy = true;
    root.classList.add("busy");
    // Not `disabled`, which would throw the focus of a keyboard to the top of the page.
    tapped.setAttribute("aria-disabled", "true");
    say(problem, "");
    const words = await desk.act(entry, action);
    busy = false;
    root.classList.remove("busy");
    tapped.removeAttribute("aria-disabled");
    fail(words);
    settle();
  }

  function fail(words) {
    clearTimeout(problemGone);
    say(problem, words);
    problemGone = setTimeout(() => say(problem, ""), PROBLEM_SHOWN_MS);
  }

  function settle() {
    clearTimeout(settling);
    root.classList.add("settling");
    settling = setTimeout(() => root.classList.remove("settling"), SETTLE_MS);
  }

  return {
    root,
    show,
    tick,
    settle,
    main: () => {
      const main = Array.from(buttons.values()).find((made) => !made.hidden && made.classList.contains("main"));
      if (main) {
        main.click();
      }
    },
    changed: (words) => {
      changedUntil = performance.now() + CHANGED_SHOWN_MS;
      say(news, words);
    },
    fail,
  };
}

// One quiet line: what became of the newest text that was to be sent at all. One on its way is no news yet.
function textsLine({ order, texts }) {
  const kind = ["cancelled", "ready", "received"].find((one) => texts && texts[one] && NEVER_SENT.indexOf(texts[one]) < 0);
  const waits = kind && texts[kind] === "owed" && now() - Date.parse(since(order)) < OWED_LONG_MS;
  return kind && !waits ? text.textState(text.textKinds[kind], text.textStates[texts[kind]] || texts[kind]) : "";
}

// What the till has said, or for how long it has not; and that it has what was cancelled here.
function tillLine({ order, ticket }) {
  if (isTakenAnyway({ order, ticket })) {
    return text.tillHasIt(ticket.reference);
  }
  if (order.status !== "pending" || !ticket) {
    return "";
  }
  if (ticket.state === "refused") {
    return text.tillRefused(ticket.reason);
  }
  const waits = text.tillWaits(lasting(ticket.since));
  return ticket.reason ? text.tillWhy(waits, ticket.reason) : waits;
}

// Seconds count while a guest looks at a locked cart.
function lasting(since) {
  const seconds = Math.max(0, Math.floor((now().getTime() - Date.parse(since)) / 1000));
  return seconds < 60 ? text.seconds(seconds) : age(Date.parse(since) / 1000);
}
