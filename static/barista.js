// The console: every open order as a card in the order of making, and around it what a shift needs.
//
// Puts the parts together and decides what is shown where; whether the page may be believed is `live.js`, what follows
// from the orders `console-model.js`, what staff does `console-desk.js`.

import { orderCard } from "./card.js";
import { callLine } from "./console-calls.js";
import { countStrip } from "./console-counts.js";
import { desk as openDesk } from "./console-desk.js";
import { keyboard } from "./console-keys.js";
import { orderList } from "./console-list.js";
import { allDay, byOrderId, changesBetween, inTurn, since, withEntry } from "./console-model.js";
import { moreDrawer } from "./console-more.js";
import { cancelDialog, orderDialog } from "./console-order.js";
import { shift } from "./console-shift.js";
import { signIn } from "./console-signin.js";
import { stockPanel } from "./console-stock.js";
import { askingTables } from "./console-tables.js";
import { printTicket } from "./console-ticket.js";
import { bars as openBars } from "./console-undo.js";
import { layerIs } from "./dialog.js";
import { failureList } from "./failures.js";
import { drawIcons } from "./icons.js";
import { follow } from "./live.js";
import { unheard } from "./messages.js";
import { arrange, byId, moment, openPage, runClock, say } from "./page.js";
import { get } from "./server.js";
import { text } from "./text.js";

const TICK_MS = 1000;
const KEYS = 9;
// The board is loaded again whenever anything happens; only what says that nothing did is passed over.
const QUIET = ["ping"];

const cards = new Map();
let snapshot = null;
let state = "connecting";
// Counts what was changed from here, so that an answer that was on its way meanwhile is not taken for the truth.
let changes = 0;
// The order that is being asked for by itself, and whether something has happened since.
let lookedFor = null;
let looksAgain = false;

openPage(text.consoleTitle);
drawIcons();
runClock(byId("clock"));
layerIs(byId("layer"), focusFirst);
new ResizeObserver(makeRoom).observe(byId("alarm"));
document.documentElement.dataset.state = state;

const bars = openBars();
byId("layer").append(bars.root);
const sounds = shift(byId("shift"), byId("sound"), byId("remark"), bars.notice);
const live = follow({
  feed: "/barista/events",
  load,
  onState: showState,
  quiet: QUIET,
});
const desk = openDesk({
  state: () => snapshot,
  put: (entry) => {
    changes += 1;
    take(withEntry(snapshot, entry));
  },
  marked: show,
  refresh: live.refresh,
  refusal: () => (state === "signed-out" ? text.refusedSignedOut : snapshot === null ? text.connecting : ""),
  bars,
});
const cancelling = cancelDialog(desk, bars.notice);
const hooks = {
  onTried: live.refresh,
  onCancel: (entry) => cancelling.open(entry),
  onPrint: (entry) => printTicket(byId("ticket"), entry, snapshot),
  mayReveal: () => state !== "signed-out",
};
const whole = orderDialog(desk, hooks);
const openWhole = (entry) => whole.open(entry, contextOf(entry, 0));
const list = orderList(openWhole);
const stock = stockPanel(desk, byId("paused"));
const strip = countStrip(byId("all-day"));
const calls = callLine(byId("calls"));
const asking = askingTables(byId("asking"), () => state === "live");
const elsewhere = failureList(live.refresh);
byId("undelivered").append(elsewhere.root);
const door = signIn(() => {
  state = "resuming";
  byId("alarm").hidden = true;
  cancelling.signedIn();
  live.resume();
});
const more = moreDrawer(byId("remark"));
keyboard({ onNumber: actOn, onUndo: bars.takeBack });

byId("open-list").addEventListener("click", list.open);
byId("open-stock").addEventListener("click", stock.open);
byId("open-more").addEventListener("click", more.open);
byId("sign-in").addEventListener("click", door.open);
setInterval(tick, TICK_MS);

async function load() {
  let before = 0;
  let next = null;
  do {
    before = changes;
    next = await get("/barista/console.json");
  } while (before !== changes);
  take(next);
}

function take(next) {
  const happened = snapshot === null ? [] : changesBetween(snapshot, next);
  snapshot = next;
  show();
  tell(happened);
}

function show() {
  if (snapshot === null) {
    return;
  }
  const open = snapshot.open;
  const ready = open
    .filter(({ order }) => order.status === "ready")
    .sort((a, b) => Date.parse(since(a.order)) - Date.parse(since(b.order)));
  // Whatever is open and not ready is shown as work, also a status this page does not know.
  const toMake = inTurn(open.filter(({ order }) => order.status !== "ready"));

  const focused = document.activeElement;
  const places = placesOf(cards);
  arrange(byId("to-make"), toMake.map((entry, index) => cardOf(entry, index < KEYS ? index + 1 : 0)));
  arrange(byId("waiting"), ready.map((entry) => cardOf(entry, 0)));
  forgetCards(open);
  strip.show(allDay(open, snapshot.menu));
  stock.show(snapshot);
  list.show(snapshot);
  more.show(snapshot.settings);
  calls.show(snapshot.calls, snapshot.settings.transcripts);
  countMessages();
  showDialogs();
  // Those of orders without a card are shown below the board.
  const shown = new Set(open.map(({ order }) => order.order_id));
  const others = snapshot.failures.filter((failure) => !shown.has(failure.order_id));
  elsewhere.show(others);
  byId("undelivered").hidden = others.length === 0;
  byId("to-make-count").textContent = toMake.length;
  byId("waiting-count").textContent = ready.length;
  say(byId("nothing-to-make"), toMake.length === 0 ? text.nothingToMake : "");
  say(byId("nothing-waiting"), ready.length === 0 ? text.nothingWaiting : "");
  settleMoved(places);
  keepFocus(focused);
}

function cardOf(entry, key) {
  const id = entry.order.order_id;
  if (!cards.has(id)) {
    cards.set(id, orderCard(Object.assign({ desk, onOpen: openWhole }, hooks)));
  }
  const card = cards.get(id);
  card.show(entry, contextOf(entry, key));
  return card.root;
}

function contextOf(entry, key) {
  const failures = snapshot.failures.filter((failure) => failure.order_id === entry.order.order_id);
  return { menu: snapshot.menu, settings: snapshot.settings, failures, key };
}

function forgetCards(open) {
  const ids = new Set(open.map(({ order }) => order.order_id));
  cards.forEach((card, id) => {
    if (!ids.has(id)) {
      cards.delete(id);
    }
  });
}

// What is open over the board shows the same as the board, and the one who looks at it is told.
function showDialogs() {
  const known = byOrderId(snapshot);
  const id = whole.shownId();
  if (id !== null && known.has(id)) {
    whole.show(known.get(id), contextOf(known.get(id), 0));
  } else if (id !== null) {
    lookFor(id);
  }
  const asked = cancelling.shownId();
  if (asked !== null && known.has(asked)) {
    cancelling.show(known.get(asked));
  }
}

// An order that is in neither list any more may only have grown old: the server tells whether there still is one.
async function lookFor(id) {
  if (lookedFor === id) {
    looksAgain = true;
    return;
  }
  lookedFor = id;
  looksAgain = false;
  try {
    const order = await get(`/api/v1/orders/${encodeURIComponent(id)}`);
    if (whole.shownId() === id) {
      const known = whole.shown();
      const same = known.order.version === order.version;
      const entry = same ? known : Object.assign({}, known, { order, undo_until: null });
      whole.show(entry, contextOf(entry, 0));
    }
  } catch (error) {
    // Any other failure says nothing about the order, and the next time something happens it is asked for again.
    if (error.status === 404 && whole.shownId() === id) {
      whole.gone();
    }
  }
  if (lookedFor === id) {
    lookedFor = null;
    if (looksAgain && whole.shownId() === id) {
      lookFor(id);
    }
  }
}

function actOn(number) {
  const root = byId("to-make").children[number - 1];
  const card = root && cards.get(root.dataset.id);
  if (card) {
    card.main();
  }
}

function tick() {
  if (snapshot !== null) {
    cards.forEach((card) => card.tick());
    whole.tick();
    calls.tick();
    countMessages();
  }
}

function countMessages() {
  const count = unheard(snapshot.messages);
  say(byId("unheard"), count === 0 ? "" : text.unheard(count));
}

// Sounds, marks and words for what happened; what was done from here a moment ago is no news here.
function tell(happened) {
  const news = happened.filter(({ order }) => !desk.isOurs(order.order_id));
  const first = ["new", "cancelled", "changed"].find((kind) => news.some((change) => change.kind === kind));
  if (first) {
    sounds.play(first);
  }
  news.forEach(({ kind, order }) => {
    const card = cards.get(order.order_id);
    if (card && kind !== "new") {
      card.changed(text.changedNow);
    } else if (card) {
      card.changed(text.fresh);
    }
    if (kind !== "new" && whole.shownId() === order.order_id) {
      whole.changed();
    }
    if (kind === "cancelled") {
      bars.notice(text.cancelledElsewhere(order.order_number));
    }
  });
  const fresh = happened.filter(({ kind }) => kind === "new");
  const words = happened.map(({ kind, order }) => text.happened[kind](order.order_number, text.statuses[order.status] || order.status));
  if (words.length > 0) {
    byId("announcement").textContent = fresh.length > 3 ? text.newOrders(fresh.length) : words.slice(0, 4).join(" ");
  }
}

function showState({ name, since: from }) {
  state = name;
  document.documentElement.dataset.state = name;
  byId("alarm").hidden = name === "live";
  byId("sign-in").hidden = name !== "signed-out";
  say(byId("live-state"), name === "live" ? text.live : "");
  if (name === "live") {
    asking.look();
  }
  if (name === "stale") {
    byId("alarm-words").textContent = text.consoleStale(moment(from));
  } else if (name === "signed-out") {
    byId("alarm-words").textContent = text.signedOut;
    // What may be read without a sign-in is not left to the next second.
    tick();
    door.open();
  } else {
    door.close();
  }
}

function placesOf(some) {
  const places = new Map();
  some.forEach((card) => {
    const { left, top, height } = card.root.getBoundingClientRect();
    places.set(card, `${left},${top},${height}`);
  });
  return places;
}

// A card that has moved under a finger, or has come where another one was, does not take its tap.
function settleMoved(places) {
  if (places.size === 0) {
    return;
  }
  const gone = Array.from(places.keys()).some((card) => !card.root.isConnected);
  placesOf(cards).forEach((place, card) => {
    const isLast = card.root.nextElementSibling === null;
    if (places.has(card) ? places.get(card) !== place : gone || !isLast) {
      card.settle();
    }
  });
}

// The red bar pushes the page down rather than lie over the head's buttons.
function makeRoom() {
  const places = placesOf(cards);
  document.documentElement.style.setProperty("--alarm-height", `${byId("alarm").offsetHeight}px`);
  settleMoved(places);
}

// The focus stays with what had it. When that is gone, the card that now comes first has it: not one of its buttons,
// which a key pressed twice would set off.
function keepFocus(focused) {
  if (!focused || focused === document.body || focused === document.activeElement) {
    return;
  }
  if (focused.isConnected && focused.offsetParent !== null) {
    focused.focus({ preventScroll: true });
  }
  if (document.activeElement === document.body) {
    focusFirst();
  }
}

function focusFirst() {
  (byId("to-make").firstElementChild || byId("to-make-heading")).focus({ preventScroll: true });
}
