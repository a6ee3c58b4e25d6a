// The TV: which orders are being prepared and which are ready, as large as they fit.
//
// Shows numbers, and first names where the shop sends them. Knows nothing else about an order.

import { follow } from "./live.js";
import { arrange, byId, element, moment, openPage, readable, runClock, say } from "./page.js";
import { get } from "./server.js";
import { text } from "./text.js";

// From large to small; the style sheet gives each its columns and type size.
const SIZES = ["large", "medium", "small", "tiny"];

const page = document.documentElement;
const lists = { preparing: byId("preparing"), ready: byId("ready") };
const entries = new Map();
let phone = "";
let paused = false;
let announced = null;

openPage(text.tvTitle, (shop) => {
  phone = shop.phone || "";
  showInvitation();
});
runClock(byId("clock"));
window.addEventListener("resize", fit);
page.dataset.state = "connecting";

follow({
  feed: "/orders/events",
  load: async () => show(await get("/orders/board.json")),
  onEvent: () => {},
  onGap: () => {},
  onState: ({ name, since }) => {
    page.dataset.state = name;
    byId("stale").hidden = name !== "stale";
    if (name === "stale") {
      byId("stale-since").textContent = text.tvStale(moment(since));
    }
  },
});

function show(board) {
  // Both columns are read before either is touched: half a board would be a lie.
  const preparing = board.preparing.map((order) => entry("preparing", order));
  const ready = board.ready.map((order) => entry("ready", order));
  arrange(lists.preparing, preparing);
  arrange(lists.ready, ready);
  forget(preparing.concat(ready));
  say(byId("no-preparing"), preparing.length === 0 ? text.nothingPreparing : "");
  say(byId("no-ready"), ready.length === 0 ? text.nothingReady : "");
  paused = board.paused === true;
  showInvitation();
  fit();
  announce(board.ready.map((order) => order.order_number));
}

function entry(column, { order_number: number, name }) {
  const key = JSON.stringify([column, number, name]);
  if (!entries.has(key)) {
    const made = element("li", "entry", element("span", "entry-number", number));
    if (name) {
      made.append(element("span", "entry-name", name));
    }
    entries.set(key, made);
  }
  return entries.get(key);
}

function forget(shown) {
  entries.forEach((made, key) => {
    if (shown.indexOf(made) < 0) {
      entries.delete(key);
    }
  });
}

// The largest size at which both columns fit. When even the smallest is too large, the orders that have to wait
// longest and those that have been ready longest give way, and the column says how many.
function fit() {
  const shown = { preparing: Array.from(lists.preparing.children), ready: Array.from(lists.ready.children) };
  const everyone = shown.preparing.concat(shown.ready);
  everyone.forEach((item) => {
    item.hidden = false;
  });
  say(byId("more-preparing"), "");
  say(byId("more-ready"), "");
  for (const size of SIZES) {
    page.dataset.size = size;
    if (fits(lists.preparing) && fits(lists.ready)) {
      return;
    }
  }
  give(lists.preparing, shown.preparing.slice().reverse(), byId("more-preparing"), text.moreWaiting);
  give(lists.ready, shown.ready, byId("more-ready"), text.moreReady);
}

// Measured at the last entry: the scroll height would count the room that the font keeps above and below its digits.
function fits(list) {
  const shown = Array.from(list.children).filter((item) => !item.hidden);
  if (shown.length === 0) {
    return true;
  }
  const last = shown[shown.length - 1].getBoundingClientRect();
  // One pixel for rounding at fractional scales.
  return last.bottom <= list.getBoundingClientRect().bottom + 1;
}

function give(list, inOrder, notice, words) {
  let hidden = 0;
  while (!fits(list) && hidden < inOrder.length) {
    inOrder[hidden].hidden = true;
    hidden += 1;
    // The notice takes room of its own, so it has to stand before the next measurement.
    say(notice, words(hidden));
  }
}

function showInvitation() {
  const invitation = phone ? text.orderByPhone(readable(phone)) : "";
  say(byId("invitation"), paused ? text.pausedPublic : invitation);
}

// Said aloud only for what became ready while the page was watching.
function announce(ready) {
  const fresh = announced === null ? [] : ready.filter((number) => announced.indexOf(number) < 0);
  announced = ready;
  if (fresh.length > 0) {
    byId("announcement").textContent = text.nowReady(fresh.join(", "));
  }
}
