// The tables for staff: who sits where, who asks to pay, the codes to print, and what ends all that.
//
// Follows the staff's feed for orders and looks again every few seconds for the rest, which no event tells. What a table is
// and who may sit at it is the server's.

import { signIn } from "./console-signin.js";
import { confirmed, dialog, layerIs } from "./dialog.js";
import { drawIcons, icon } from "./icons.js";
import { follow } from "./live.js";
import { age, arrange, byId, element, inWords, moment, openPage, say } from "./page.js";
import { get, post, remove } from "./server.js";
import { text } from "./text.js";

const LOOK_MS = 5000;
const TICK_MS = 1000;
const QUIET = ["ping", "call_started", "call_ended", "menu_changed", "ordering_paused", "ordering_resumed"];

const cards = new Map();
const ahead = new Map();

openPage(text.tablesTitle);
drawIcons();
layerIs(byId("layer"), () => byId("tables-heading").focus());
new ResizeObserver(makeRoom).observe(byId("alarm"));
document.documentElement.dataset.state = "connecting";

const code = codeDialog();
const live = follow({
  feed: "/barista/events",
  load: async () => show(await get("/api/v1/tables")),
  onState: showState,
  quiet: QUIET,
});
const door = signIn(() => {
  byId("alarm").hidden = true;
  live.resume();
});
byId("sign-in").addEventListener("click", door.open);
byId("add").addEventListener("submit", add);
setInterval(live.refresh, LOOK_MS);
setInterval(() => cards.forEach((card) => card.tick()), TICK_MS);

function show({ tables, ahead: waiting }) {
  arrange(byId("tables"), tables.map((table) => shownIn(cards, table.table_id, tableCard, table)));
  forget(cards, tables.map((table) => table.table_id));
  arrange(byId("ahead"), waiting.map((session) => shownIn(ahead, session.session, sessionLine, session)));
  forget(ahead, waiting.map((session) => session.session));
  byId("ahead-section").hidden = waiting.length === 0;
  byId("tables-count").textContent = tables.length;
  byId("print-all").hidden = tables.length === 0;
  say(byId("no-tables"), tables.length === 0 ? text.tablesNone : "");
}

function shownIn(known, id, make, next) {
  if (!known.has(id)) {
    known.set(id, make());
  }
  known.get(id).show(next);
  return known.get(id).root;
}

function forget(known, ids) {
  Array.from(known.keys())
    .filter((id) => ids.indexOf(id) < 0)
    .forEach((id) => known.delete(id));
}

async function add(event) {
  event.preventDefault();
  const name = byId("name").value.trim();
  if (await attempt(byId("add-problem"), async () => code.open(await post("/api/v1/tables", { name })))) {
    byId("name").value = "";
    byId("said").textContent = text.tableAdded(name);
  }
}

// Does what changes something, and says what went wrong; answers whether it was done.
async function attempt(problem, work) {
  say(problem, "");
  let done = false;
  try {
    await work();
    done = true;
  } catch (error) {
    say(problem, inWords(error));
  }
  live.refresh();
  return done;
}

// One table: its code to tap, its sessions, and what may be done with it.
function tableCard() {
  let table = null;
  const sessions = new Map();

  const picture = element("img", "table-code");
  picture.alt = "";
  const look = button("table-look", () => code.open(table));
  look.append(picture);
  const name = element("h3", "table-name");
  const badge = element("p", "badge badge-bill");
  const list = element("ul", "sessions");
  const empty = element("p", "soft", text.tableEmpty);
  const problem = element("p", "card-problem");
  problem.setAttribute("role", "alert");
  say(problem, "");
  const link = button("button", renew, text.newLink);
  const gone = button("button danger", drop, text.tableRemove);
  const root = element(
    "li",
    "table-card",
    look,
    element("div", "table-what", name, badge, list, empty, problem, element("div", "button-row", link, gone)),
  );

  function show(next) {
    table = next;
    root.dataset.table = table.table_id;
    say(name, text.atTable(table.name));
    drawCode(picture, table);
    [[look, text.codeOf], [link, text.newLinkOf], [gone, text.tableRemoveOf]].forEach(([made, words]) =>
      made.setAttribute("aria-label", words(text.atTable(table.name))),
    );
    arrange(list, table.sessions.map((session) => shownIn(sessions, session.session, sessionLine, session)));
    forget(sessions, table.sessions.map((session) => session.session));
    empty.hidden = table.sessions.length > 0;
    tick();
  }

  // The one who has waited longest decides what it says.
  function tick() {
    const asked = table.sessions.map((session) => session.bill_asked_at).filter(Boolean).sort();
    say(badge, asked.length === 0 ? "" : text.billAsked(age(Date.parse(asked[0]) / 1000)));
    root.classList.toggle("asking", asked.length > 0);
  }

  async function renew() {
    if (await confirmed(text.newLinkOf(text.atTable(table.name)), text.newLinkMore, text.newLinkYes)) {
      await attempt(problem, async () => code.open(await post(`${pathOf(table)}/link`)));
    }
  }

  async function drop() {
    const words = table.sessions.length === 0 ? text.tableRemoveMore : text.tableRemoveBusy;
    const called = text.atTable(table.name);
    if (await confirmed(text.tableRemoveOf(called), words, text.tableRemoveYes)) {
      if (await attempt(problem, () => remove(pathOf(table)))) {
        byId("said").textContent = text.tableRemoved(called);
      }
    }
  }

  return { root, show, tick };
}

// One session: who is in it, and what they are about.
function sessionLine() {
  let session = null;
  const who = element("b", "session-who");
  const facts = element("span", "session-facts");
  const problem = element("p", "card-problem");
  problem.setAttribute("role", "alert");
  say(problem, "");
  const end = button("button session-end", finish, text.sessionEnd);
  const root = element("li", "session", element("span", "session-what", who, facts), end, problem);

  function show(next) {
    session = next;
    root.dataset.session = session.session;
    say(who, session.guests.join(", ") || text.sessionNobody);
    say(
      facts,
      [
        session.kind === "private" ? text.sessionPrivate : "",
        text.sessionConnected(session.connected),
        session.count > 0 ? text.sessionDrinks(session.count) : "",
        session.locked ? text.sessionLocked : "",
        session.orders > 0 ? text.sessionOrders(session.orders) : "",
        text.sessionSince(moment(new Date(session.started_at))),
      ]
        .filter(Boolean)
        .join(" · "),
    );
    end.setAttribute("aria-label", text.sessionEndOf(who.textContent));
  }

  async function finish() {
    const words = session.locked ? text.sessionEndLocked : session.count > 0 ? text.sessionEndCart : text.sessionEndMore;
    if (await confirmed(text.sessionEndOf(who.textContent), words, text.sessionEndYes)) {
      const path = `/api/v1/tables/sessions/${encodeURIComponent(session.session)}/end`;
      if (await attempt(problem, () => post(path))) {
        byId("said").textContent = text.sessionEnded;
      }
    }
  }

  return { root, show };
}

// One code, large: to be scanned off the screen, printed, or sent as a link.
function codeDialog() {
  const picture = element("img", "code-picture");
  const link = element("input", "field");
  link.readOnly = true;
  link.id = "table-link";
  const label = element("label", "field-label", text.tableLink);
  label.htmlFor = link.id;
  const copied = element("p", "soft");
  copied.setAttribute("role", "status");
  const copy = button("button", async () => {
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
      say(copied, text.copied);
    } catch (error) {
      say(copied, text.copyByHand);
    }
  }, text.copy);
  const print = element("a", "button main", icon("print"), text.print);
  const box = dialog({ kind: "box", title: "" });
  box.root.id = "code-dialog";
  box.body.append(
    element("p", "code-frame", picture),
    label,
    link,
    element("div", "button-row", print, copy),
    copied,
  );

  return {
    open: (table) => {
      const called = text.atTable(table.name);
      say(box.heading, called);
      say(copied, "");
      picture.alt = text.codeAlt(called);
      drawCode(picture, table);
      link.value = table.link;
      print.href = `/barista/tables/sheet?table=${encodeURIComponent(table.table_id)}`;
      box.open();
      print.focus();
    },
  };
}

// A code is drawn anew when its link is another one; nothing of the link itself is in the address.
function drawCode(picture, table) {
  if (picture.dataset.link !== table.link) {
    picture.dataset.link = table.link;
    picture.src = `${pathOf(table)}/qr.svg?${Date.now()}`;
  }
}

function pathOf(table) {
  return `/api/v1/tables/${encodeURIComponent(table.table_id)}`;
}

function button(className, onTap, words) {
  const made = element("button", className, words || "");
  made.type = "button";
  made.addEventListener("click", onTap);
  return made;
}

function showState({ name, since }) {
  document.documentElement.dataset.state = name;
  byId("alarm").hidden = name === "live";
  byId("sign-in").hidden = name !== "signed-out";
  if (name === "stale") {
    byId("alarm-words").textContent = text.tablesStale(moment(since));
  } else if (name === "signed-out") {
    byId("alarm-words").textContent = text.signedOut;
    door.open();
  } else {
    door.close();
  }
}

// The red bar pushes the page down rather than lie over its head.
function makeRoom() {
  document.documentElement.style.setProperty("--alarm-height", `${byId("alarm").offsetHeight}px`);
}
