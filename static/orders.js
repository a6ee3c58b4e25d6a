// The TV: which orders are being prepared and which are ready, as large as they fit, and never what is not so.
//
// Shows numbers, and tables and first names where the server sends them. Knows nothing else about an order. Nobody ever has to
// touch it: what does not fit takes turns, what became ready is shown large for a moment, and a screen that cannot
// know says so instead of showing what was.

import { follow } from "./live.js";
import { arrange, byId, element, moment, openPage, readable, runClock, say } from "./page.js";
import { get, now } from "./server.js";
import { text } from "./text.js";
import { Chime } from "./tv/chime.js";
import { Heroes } from "./tv/heroes.js";
import { COLUMN_SIZES, FEW, HERO_SIZES, nextPage, pageOf, place } from "./tv/layout.js";
import { isTimeForNewPages, keepWell } from "./tv/set.js";

const BOARD = "/orders/board.json";

const TURN_MS = 8000;
// An order that has been ready for long enough leaves without an event.
const RELOAD_MS = 25000;
// A screen whose link was revoked may be let in again.
const KNOCK_MS = 60000;
// How often is looked whether it is time for a page to turn, or for an order to be shown large.
const STEP_MS = 250;

// The letter-spacing of the numbers, in parts of the type size.
const TRACKING = -0.02;

// A telephone is scrolled, shows everything, and may fall asleep.
const HANDHELD = window.matchMedia("(max-width: 40em)");

const page = document.documentElement;
const chime = new Chime();
const heroes = new Heroes();
const columns = { preparing: column("preparing"), ready: column("ready") };
const hero = { box: byId("hero"), list: byId("heroes"), orders: null, drawn: "" };
let phone = "";
let paused = false;

openPage(text.tvTitle, (shop) => {
  phone = shop.phone || "";
  showInvitation();
  draw();
});
runClock(byId("clock"));
if (!HANDHELD.matches) {
  keepWell([byId("picture"), byId("stale-words")]);
}
page.dataset.state = "connecting";

const feed = follow({
  feed: "/orders/events",
  load: async () => show(await get(BOARD)),
  onState: (state) => {
    page.dataset.state = state.name;
    showTrouble(state);
    if (state.name === "signed-out") {
      setInterval(knock, KNOCK_MS);
    }
  },
});

window.addEventListener("resize", draw);
setInterval(() => feed.refresh(), RELOAD_MS);
setInterval(pass, STEP_MS);

function column(name) {
  return { list: byId(name), pageMark: byId(`page-${name}`), orders: [], page: 0, pages: 1, seenMs: 0, drawn: "" };
}

function show(board) {
  // Both columns are read before either is touched: half a board would be a lie.
  const preparing = board.preparing.map(readOrder);
  const ready = board.ready.map(readOrder);
  columns.preparing.orders = preparing;
  columns.ready.orders = ready;
  say(byId("no-preparing"), preparing.length === 0 ? text.nothingPreparing : "");
  say(byId("no-ready"), ready.length === 0 ? text.nothingReady : "");
  paused = board.paused === true;
  showInvitation();
  draw();
  announce(heroes.see(ready, performance.now()));
  drawHeroes();
  takeUpNewPages(preparing.length + ready.length);
}

// What stands below the number: whose order it is, the table first, because that is where somebody is sitting.
function readOrder({ order_number: number, name, table }) {
  const words = [typeof table === "string" && table && text.atTable(table), typeof name === "string" && name];
  return { order_number: String(number), name: words.filter(Boolean).join(text.tvBetween) };
}

function announce(fresh) {
  if (fresh.length > 0) {
    chime.play();
    byId("announcement").textContent = text.nowReady(fresh.map((order) => order.order_number).join(", "));
  }
}

function draw() {
  const size = drawColumn(columns.ready, COLUMN_SIZES[0]);
  // What is ready is what people look for: the other column is not louder, but never small for that alone.
  drawColumn(columns.preparing, Math.max(size, FEW));
  hero.orders = null;
  drawHeroes();
}

function drawColumn(shown, most) {
  const placing = HANDHELD.matches ? null : placeIn(shown.list, shown.orders, COLUMN_SIZES, most);
  shown.pages = placing === null ? 1 : placing.pages;
  shown.page = Math.min(shown.page, shown.pages - 1);
  fill(shown, placing === null ? shown.orders : pageOf(shown.orders, placing, shown.page), placing);
  say(shown.pageMark, shown.pages > 1 ? text.tvPage(shown.page + 1, shown.pages) : "");
  return placing === null || shown.orders.length === 0 ? most : placing.size;
}

function pass() {
  const due = [columns.ready].concat(hero.box.hidden ? [columns.preparing] : []).filter(isSeenLongEnough);
  if (due.length > 0) {
    due.forEach((shown) => (shown.page = nextPage(shown.page, shown.pages)));
    draw();
  }
  drawHeroes();
}

// The time during which a column is covered does not count: every page is seen.
function isSeenLongEnough(shown) {
  shown.seenMs = shown.pages > 1 ? shown.seenMs + STEP_MS : 0;
  const isDue = shown.seenMs >= TURN_MS;
  if (isDue) {
    shown.seenMs = 0;
  }
  return isDue;
}

// What has just become ready is shown large over the column that it has left, so that all that is ready stays in sight.
function drawHeroes() {
  const at = performance.now();
  const orders = HANDHELD.matches ? [] : heroes.at(at);
  Array.from(columns.ready.list.children).forEach((made) => {
    made.classList.toggle("fresh", heroes.isFresh(made.dataset.number, at));
  });
  hero.box.hidden = orders.length === 0;
  // `heroes` answers the same list until something changes.
  if (orders.length > 0 && orders !== hero.orders) {
    hero.orders = orders;
    fill(hero, orders, placeIn(hero.list, orders, HERO_SIZES));
  }
}

function placeIn(list, orders, sizes, most) {
  return place({
    count: orders.length,
    width: list.clientWidth,
    height: list.clientHeight,
    side: Math.min(window.innerWidth, window.innerHeight),
    digits: orders.reduce((longest, order) => Math.max(longest, order.order_number.length), 4),
    named: orders.some((order) => order.name !== ""),
    glyph: glyphOf(list),
    sizes,
    most,
  });
}

// Touches the page only when something is different.
function fill(shown, orders, placing) {
  const drawn = JSON.stringify([orders, placing]);
  if (drawn !== shown.drawn) {
    shown.drawn = drawn;
    const style = shown.list.style;
    style.fontSize = placing === null ? "" : `${placing.font}px`;
    style.gridTemplateColumns = placing === null ? "" : `repeat(${placing.columns}, minmax(0, 1fr))`;
    style.gridAutoRows = placing === null ? "" : `${placing.row}px`;
    const standing = Array.from(shown.list.children);
    arrange(shown.list, orders.map((order) => standing.find((made) => isOf(made, order)) || entry(order)));
  }
}

function isOf(made, { order_number: number, name }) {
  return made.dataset.number === number && made.dataset.name === name;
}

function entry({ order_number: number, name }) {
  const made = element("li", "entry", element("span", "entry-number", number));
  made.dataset.number = number;
  made.dataset.name = name;
  if (name) {
    made.append(element("span", "entry-name", name));
  }
  return made;
}

// How wide and high the digits of this screen's own font are: what a given type size means differs by a fifth.
function glyphOf(list) {
  const style = getComputedStyle(list);
  const measure = document.createElement("canvas").getContext("2d");
  measure.font = `${style.fontWeight} 100px ${style.fontFamily}`;
  const digits = Array.from("0123456789").map((digit) => measure.measureText(digit));
  // A browser that does not tell the height gets that of the lowest common fonts, so that no number is too small.
  const height = digits[0].actualBoundingBoxAscent || 70;
  return { advance: Math.max(...digits.map((digit) => digit.width)) / 100 + TRACKING, height: height / 100 };
}

function showInvitation() {
  const target = byId("invitation");
  if (paused || !phone) {
    say(target, paused ? text.pausedPublic : "");
  } else {
    const number = readable(phone);
    const [before, after] = text.orderByPhone(number).split(number);
    target.hidden = false;
    target.textContent = before;
    target.append(element("b", "invitation-number", number), after || "");
  }
  target.classList.toggle("invitation-paused", paused);
}

function showTrouble({ name, since }) {
  const isGone = name === "signed-out";
  byId("stale").hidden = name !== "stale" && !isGone;
  if (name === "stale" || isGone) {
    heroes.clear();
    drawHeroes();
    byId("stale-since").textContent = isGone ? text.tvLinkGone : text.tvStale(moment(since));
    byId("stale-more").textContent = isGone ? text.tvLinkGoneMore : text.tvStaleMore;
  }
}

// The page is loaded anew only when it is sure to come: a TV on an error page stays there.
async function knock() {
  try {
    await get(BOARD);
  } catch (error) {
    return;
  }
  window.location.reload();
}

// Called with a board that has just come, so the server is there. Sound that a hand unlocked would be lost.
function takeUpNewPages(orderCount) {
  if (orderCount === 0 && !chime.isUnlockedByHand && isTimeForNewPages(performance.now(), now().getHours())) {
    window.location.reload();
  }
}
