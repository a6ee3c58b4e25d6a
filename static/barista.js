// The console: every open order as a card, oldest first, and the few that were finished last.
//
// Decides where a card stands; what a card shows is `card.js`, whether the page may be believed is `live.js`.

import { orderCard } from "./card.js";
import { failureList } from "./failures.js";
import { follow } from "./live.js";
import { arrange, byId, element, moment, money, openPage, runClock, say, timeOfDay } from "./page.js";
import { get, now } from "./server.js";
import { text } from "./text.js";

const NEWEST = 50;
const FINISHED_SHOWN = 8;
const AGE_MS = 10000;
// After a card has left, the next one stands under the finger that may be tapping a second time.
const SETTLE_MS = 700;

const FINISHED = ["completed", "cancelled"];

const cards = new Map();
const known = new Set();
const calls = new Set();
let latest = null;
let callsSince = now();
let settling = 0;

openPage(text.consoleTitle);
runClock(byId("clock"));
setInterval(() => cards.forEach((card) => card.tick()), AGE_MS);
document.documentElement.dataset.state = "connecting";

const live = follow({
  feed: "/barista/events",
  load: async () => {
    latest = await fetchAll();
    show();
  },
  onEvent: (event) => {
    if (event.type === "call_started") {
      calls.add(event.call_sid);
    } else if (event.type === "call_ended") {
      calls.delete(event.call_sid);
    }
    showCalls();
  },
  onGap: () => {
    calls.clear();
    callsSince = now();
    showCalls();
  },
  onState: showState,
});

const elsewhere = failureList(live.refresh);
byId("undelivered").append(elsewhere.root);

// The newest orders may not reach back to the oldest one that still has to be made, so the board, which has every
// number, says which are missing.
async function fetchAll() {
  const [orders, board, failed] = await Promise.all([
    get(`/orders.json?limit=${NEWEST}`),
    get("/orders/board.json"),
    get("/api/v1/deliveries/failed"),
  ]);
  const have = new Set(orders.map((order) => order.order_number));
  for (const { order_number: number } of board.preparing) {
    if (!have.has(number)) {
      try {
        orders.push(await get(`/api/orders/${encodeURIComponent(number)}`));
      } catch (error) {
        // Deleted since the board was read; anything else makes this page incomplete.
        if (error.status !== 404) {
          throw error;
        }
      }
    }
  }
  const olderReady = board.ready.filter((order) => !have.has(order.order_number)).length;
  return { orders, olderReady, paused: board.paused === true, failures: failed.deliveries };
}

function show() {
  const { orders, olderReady, paused, failures } = latest;
  const byAge = orders.slice().sort((a, b) => a.created_at - b.created_at || serial(a) - serial(b));
  const open = byAge.filter((order) => FINISHED.indexOf(order.status) < 0);
  const ready = open.filter((order) => order.status === "ready");
  // Whatever is open and not ready is shown as work, also a status this page does not know.
  const toMake = open.filter((order) => order.status !== "ready");

  const focused = document.activeElement;
  const places = placesOf(byId("to-make").children);
  arrange(byId("to-make"), toMake.map(cardOf));
  arrange(byId("waiting"), ready.map(cardOf));
  forgetCards(open);
  // Those of orders without a card: finished, or older than what is shown.
  const shown = new Set(open.map((order) => order.order_id));
  const others = failures.filter((failure) => !shown.has(failure.order_id));
  elsewhere.show(others);
  byId("undelivered").hidden = others.length === 0;
  byId("to-make-count").textContent = toMake.length;
  byId("waiting-count").textContent = ready.length + olderReady;
  say(byId("nothing-to-make"), toMake.length === 0 ? text.nothingToMake : "");
  say(byId("nothing-waiting"), ready.length + olderReady === 0 ? text.nothingWaiting : "");
  say(byId("older-waiting"), olderReady > 0 ? text.olderReady(olderReady) : "");
  say(byId("paused"), paused ? text.pausedStaff : "");
  if (moved(places)) {
    settle();
  }
  keepFocus(focused);
  showFinished(orders.filter((order) => FINISHED.indexOf(order.status) >= 0));
  announce(toMake);
}

function cardOf(order) {
  if (!cards.has(order.order_id)) {
    cards.set(order.order_id, orderCard(live.refresh));
  }
  const card = cards.get(order.order_id);
  card.show(
    order,
    latest.failures.filter((failure) => failure.order_id === order.order_id),
  );
  return card.root;
}

function forgetCards(open) {
  const ids = new Set(open.map((order) => order.order_id));
  cards.forEach((card, id) => {
    if (!ids.has(id)) {
      cards.delete(id);
    }
  });
}

function showFinished(finished) {
  const last = finished
    .slice()
    .sort((a, b) => Date.parse(b.updated_at) - Date.parse(a.updated_at))
    .slice(0, FINISHED_SHOWN);
  const list = byId("finished");
  list.textContent = "";
  list.append(...last.map(finishedRow));
  say(byId("nothing-finished"), last.length === 0 ? text.nothingFinished : "");
}

function finishedRow(order) {
  return element(
    "li",
    "row",
    element("b", "row-number", order.order_number),
    element("span", "row-status", text.statuses[order.status] || order.status),
    element("span", "row-name", order.name || ""),
    element("span", "row-total", money(order.total)),
    element("time", "row-time", moment(new Date(order.updated_at))),
  );
}

function showCalls() {
  say(byId("calls"), calls.size > 0 ? text.callsInProgress(calls.size, timeOfDay(callsSince)) : "");
}

function showState({ name, since }) {
  document.documentElement.dataset.state = name;
  byId("alarm").hidden = name === "live";
  byId("sign-in").hidden = name !== "signed-out";
  if (name === "stale") {
    byId("alarm-words").textContent = text.consoleStale(moment(since));
  } else if (name === "signed-out") {
    byId("alarm-words").textContent = text.signInAgain;
  }
}

// One sentence for what is new since the last look; what was there when the page opened is no news.
function announce(toMake) {
  const fresh = toMake.filter((order) => !known.has(order.order_id));
  const first = document.documentElement.dataset.state === "connecting";
  toMake.forEach((order) => known.add(order.order_id));
  if (fresh.length > 0 && !first) {
    byId("announcement").textContent =
      fresh.length === 1 ? text.newOrder(fresh[0].order_number) : text.newOrders(fresh.length);
  }
}

function placesOf(roots) {
  return new Map(Array.from(roots).map((root) => [root, `${root.offsetLeft},${root.offsetTop}`]));
}

function moved(places) {
  const after = placesOf(byId("to-make").children);
  return Array.from(places).some(([root, place]) => after.get(root) !== place);
}

// A card that leaves with the focus in it hands it to the heading, not to the top of the document.
function keepFocus(focused) {
  if (focused && focused.closest(".card") && (focused !== document.activeElement || focused.hidden)) {
    byId("to-make-heading").focus({ preventScroll: true });
  }
}

function settle() {
  clearTimeout(settling);
  byId("to-make").classList.add("settling");
  settling = setTimeout(() => byId("to-make").classList.remove("settling"), SETTLE_MS);
}

// Orders of the same second stand in the order of their ids: ORD-main-9 before ORD-main-10.
function serial(order) {
  return Number((/(\d+)$/.exec(order.order_id) || [0, 0])[1]);
}
