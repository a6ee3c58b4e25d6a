// What staff does: every change of an order or of the shop goes through here to the server, and back again by undo.
//
// A change names the version it was decided on; when that is not the order's any more, nothing is overwritten: the order
// is read again and the words say so. Shows nothing itself but in the bars.

import { actionsOf, madeOf } from "./console-model.js";
import { inWords } from "./page.js";
import { get, now, patch, post } from "./server.js";
import { text } from "./text.js";

// The server takes a change of status back for so long.
const UNDO_MS = 5000;
const OURS_MS = 3000;

const BECOMES = { accept: "received", start: "preparing", done: "ready", pickup: "completed", cancel: "cancelled" };

/**
 * The desk. `state()` answers the last snapshot or null, `put(entry)` makes one order known as it now is, `marked()`
 * shows ticks anew, `refresh()` loads everything, `refusal()` is a sentence while nothing may be changed.
 */
export function desk({ state, put, marked, refresh, refusal, bars }) {
  // The change of an order that is on its way, by order.
  const working = new Map();
  // Ticks as they were tapped, where the server has not answered yet, by order and line; and the requests for them.
  const wanted = new Map();
  const ticking = new Map();
  // Orders that were changed from here a moment ago: what is heard of them is no news to who did it.
  const ours = new Map();

  /** Does what `actionsOf` names; answers an empty string, or what went wrong. */
  async function act(entry, action, reason) {
    switch (action) {
      case "undo":
        return undo(entry);
      case "rush":
        return rush(entry, entry.rushed_at === null);
      default:
        return move(entry, action, reason);
    }
  }

  async function move(entry, action, reason) {
    return change(entry, async (latest, hasWaited) => {
      const { order } = latest;
      const id = order.order_id;
      if (hasWaited && actionsOf(latest, now()).indexOf(action) < 0) {
        return text.overtaken(order.order_number, text.statuses[order.status] || order.status);
      }
      const began = performance.now();
      const status = action === "recall" ? (order.status === "completed" ? "ready" : "preparing") : BECOMES[action];
      const changed = await post(pathOf(order, "status"), reason ? { status, reason } : { status }, order.version);
      const left = () => UNDO_MS - (performance.now() - began);
      const until = new Date(now().getTime() + left()).toISOString();
      const known = Object.assign({}, find(id) || latest, { order: changed, undo_until: until });
      put(known);
      const gone = action === "recall" && (await hasGone(id));
      const words = gone ? text.recalledAfterText(order.order_number) : text.did[action](order.order_number);
      bars.offer(words, () => undo(known), left(), () => isStill(changed));
      return "";
    });
  }

  // The server takes back nothing but the last change, so what was changed again since is not offered any more.
  function isStill(order) {
    const known = find(order.order_id);
    return known === undefined || known.order.version === order.version;
  }

  // Whether the customer was texted already: what becomes of a text is announced to nobody, so it is asked for.
  async function hasGone(id) {
    try {
      const { open } = await get("/barista/console.json");
      return open.some(({ order, texts }) => order.order_id === id && texts.ready === "sent");
    } catch (error) {
      // The recall has been made all the same.
      return false;
    }
  }

  async function undo(entry) {
    const words = await change(entry, async ({ order }) => {
      const changed = await post(pathOf(order, "undo"), undefined, order.version);
      const known = find(order.order_id);
      if (known) {
        put(Object.assign({}, known, { order: changed, undo_until: null }));
      }
      return "";
    });
    if (words !== "") {
      bars.notice(text.notUndone(entry.order.order_number, words));
    }
    return words;
  }

  /** Ticks a line or takes the tick away. Seen at once; taken back, with words, when the server did not take it. */
  async function mark(entry, item, made, quietly) {
    const { order } = entry;
    const refused = refusal();
    if (refused !== "") {
      return refused;
    }
    const key = `${order.order_id}:${item}`;
    wanted.set(key, made);
    marked();
    if (!ticking.has(key)) {
      ticking.set(key, sendTick(order.order_id, item, key));
    }
    const words = await ticking.get(key);
    if (words === "" && !quietly) {
      bars.offer(text.marked(order.order_number, made), () => take(entry, item, !made), UNDO_MS);
    }
    return words;
  }

  // Two requests could overtake each other: of one line there is one on its way, and after it another where the line
  // was tapped again meanwhile.
  async function sendTick(id, item, key) {
    let words = "";
    try {
      let made = null;
      let changed = null;
      do {
        made = wanted.get(key);
        changed = await post(`/barista/orders/${encodeURIComponent(id)}/marks`, { item, made });
      } while (wanted.get(key) !== made);
      wanted.delete(key);
      put(changed);
    } catch (error) {
      wanted.delete(key);
      marked();
      refresh();
      words = text.notTicked(inWords(error));
    }
    ticking.delete(key);
    return words;
  }

  async function take(entry, item, made) {
    const words = await mark(entry, item, made, true);
    if (words !== "") {
      bars.notice(text.notUndone(entry.order.order_number, words));
    }
  }

  async function rush(entry, on, quietly) {
    const { order } = entry;
    return change(entry, async () => {
      put(await post(`/barista/orders/${encodeURIComponent(order.order_id)}/marks`, { rush: on }));
      if (!quietly) {
        bars.offer(text.rushed(order.order_number, on), () => rush(entry, !on, true), UNDO_MS);
      }
      return "";
    });
  }

  /** Sells an option out, or not any more. */
  async function sellOut(option, on, quietly) {
    return changeShop(async () => {
      await post("/barista/sold-out", { id: option.id, sold_out: on });
      if (!quietly) {
        bars.offer(text.soldOutIs(option.name, on), () => sellOut(option, !on, true), UNDO_MS);
      }
    });
  }

  /** Pauses for so many minutes, until resumed (`null`), or resumes (0). */
  async function pause(minutes) {
    return changeShop(async () => {
      const before = state().shop.paused_until;
      const to = minutes === 0 ? { paused_until: null } : { paused_for_minutes: minutes };
      const shop = await patch("/api/v1/shop", minutes === null ? { paused_until: "resumed" } : to);
      const after = shop.paused_until || null;
      // A pause that somebody else made since is theirs, and no way back from ours may end it.
      const isOurs = () => [before, after].indexOf(state().shop.paused_until) >= 0;
      const back = () => changeShop(() => patch("/api/v1/shop", { paused_until: before }));
      bars.offer(minutes === 0 ? text.resumedIs : text.pausedIs, back, UNDO_MS, isOurs);
    });
  }

  async function changeShop(work) {
    const refused = refusal();
    if (refused !== "") {
      bars.notice(refused);
      return refused;
    }
    let words = "";
    try {
      await work();
    } catch (error) {
      words = inWords(error);
      bars.notice(words);
    }
    refresh();
    return words;
  }

  // One change of an order at a time. What is asked for meanwhile waits for it, and is then done to the order as it has
  // become: `work(entry, hasWaited)` answers an empty string, or why it was not done.
  async function change(entry, work) {
    const id = entry.order.order_id;
    let known = entry;
    let hasWaited = false;
    while (working.has(id)) {
      await working.get(id);
      known = find(id) || known;
      hasWaited = true;
    }
    const refused = refusal();
    if (refused !== "") {
      return refused;
    }
    const done = carryOut(id, () => work(known, hasWaited));
    working.set(id, done);
    return done;
  }

  async function carryOut(id, work) {
    claim(id);
    let words = "";
    try {
      words = await work();
    } catch (error) {
      words = error.status === 412 ? await overtaken(id) : inWords(error);
    }
    working.delete(id);
    claim(id);
    refresh();
    return words;
  }

  function claim(id) {
    ours.forEach((at, other) => isRecent(at) || ours.delete(other));
    ours.set(id, performance.now());
  }

  async function overtaken(id) {
    try {
      const order = await get(`/api/v1/orders/${encodeURIComponent(id)}`);
      const known = find(id);
      if (known) {
        put(Object.assign({}, known, { order, undo_until: null }));
      }
      const words = text.overtaken(order.order_number, text.statuses[order.status] || order.status);
      bars.notice(words);
      return words;
    } catch (error) {
      return error.status === 404 ? text.orderGone : inWords(error);
    }
  }

  function find(id) {
    const { open, recent } = state();
    return open.concat(recent).find((entry) => entry.order.order_id === id);
  }

  return {
    act,
    mark,
    sellOut,
    pause,
    /** Whether a change of this order is on its way. */
    isWorking: (id) => working.has(id),
    /** Whether this order was changed from here within the last seconds. */
    isOurs: (id) => working.has(id) || isRecent(ours.get(id)),
    /** What may be done with an order now. */
    actions: (entry) => actionsOf(entry, now()),
    /** The ticked lines, with those on their way. */
    made: (entry) => {
      const made = madeOf(entry);
      (entry.order.items || []).forEach((item, index) => {
        const on = wanted.get(`${entry.order.order_id}:${index}`);
        if (on === true) {
          made.add(index);
        } else if (on === false) {
          made.delete(index);
        }
      });
      return made;
    },
  };
}

function isRecent(at) {
  return at !== undefined && performance.now() - at < OURS_MS;
}

function pathOf(order, last) {
  return `/api/v1/orders/${encodeURIComponent(order.order_id)}/${last}`;
}
