// Keeps a page equal to what the server knows, and says so when it cannot.
//
// Follows a live feed (server-sent events), loads the page's data again whenever something may have changed, never
// twice at once, and reports whether the page may be believed. Knows nothing of what is loaded or how it looks.

import { now } from "./server.js";

// The server sends something at least every 15 s.
const SILENCE_MS = 20000;
const REOPEN_MS = 3000;
const RETRY_MS = 3000;
// A burst of events costs one load now and one after this pause, not one load each.
const BURST_MS = 150;

// Events that change nothing the screens for customers have loaded. Any other type, known or not, is a reason to load.
const QUIET = ["ping", "call_started", "call_ended", "menu_changed"];

/**
 * Follows `feed` for as long as the page is open.
 *
 * - `load()` fetches and shows everything; its promise rejects when that fails (a `status` of 401 ends the following).
 * - `quiet` names the types of events that change nothing this page has loaded.
 * - `onState(state)` gets `{ name, since }` on every change of name: `live`; `stale` with the last moment (a Date) at
 *   which the page was known to be true; `signed-out`. Before the first of them the page has shown nothing yet.
 *
 * What it returns: `refresh()` loads again, `resume()` goes on after a sign-in.
 */
export function follow({ feed, load, onState, quiet = QUIET }) {
  let source = null;
  let reopening = 0;
  let heard = stamp();
  let heardAt = now();
  let attempted = stamp();
  let state = "connecting";
  // Something may have changed at this moment, and no load begun later has succeeded yet. Null when there is no such
  // moment; `covering` is the one that the load in flight will settle.
  let owed = null;
  let covering = null;
  let running = false;
  let failed = false;

  function connect() {
    clearTimeout(reopening);
    if (source !== null) {
      source.close();
    }
    attempted = stamp();
    const opened = new EventSource(feed);
    source = opened;
    opened.onopen = () => {
      const before = heardAt;
      hear();
      refresh(before);
    };
    opened.onmessage = (message) => {
      hear();
      receive(message.data);
    };
    opened.onerror = () => {
      // In any other state the browser reconnects by itself, with Last-Event-ID.
      if (opened === source && opened.readyState === EventSource.CLOSED && state !== "signed-out") {
        clearTimeout(reopening);
        reopening = setTimeout(connect, REOPEN_MS);
        // An EventSource does not tell why it was refused; the load's answer does.
        refresh(heardAt);
      }
    };
  }

  function hear() {
    heard = stamp();
    heardAt = now();
  }

  function receive(data) {
    let event = null;
    try {
      event = JSON.parse(data);
    } catch (error) {
      // Something happened that we cannot read: the same as having missed it.
    }
    if (event === null || typeof event !== "object" || event.type === "resync") {
      refresh(heardAt);
      return;
    }
    if (quiet.indexOf(event.type) < 0) {
      refresh(heardAt);
    }
    judge();
  }

  async function refresh(from) {
    if (owed === null) {
      owed = from;
    }
    if (running) {
      return;
    }
    running = true;
    while (owed !== null && state !== "signed-out") {
      covering = owed;
      owed = null;
      let pauseMs = BURST_MS;
      try {
        await load();
        failed = false;
        covering = null;
        judge();
      } catch (error) {
        owed = covering;
        covering = null;
        if (error.status === 401) {
          signOut();
        } else {
          if (error.status === undefined) {
            console.error(error);
          }
          failed = true;
          judge();
          pauseMs = RETRY_MS;
        }
      }
      await pause(pauseMs);
    }
    running = false;
  }

  function judge() {
    if (state === "signed-out") {
      return;
    }
    if (failed || elapsedMs(heard) > SILENCE_MS) {
      if (state !== "stale") {
        const behind = covering || owed;
        enter("stale", behind !== null && behind < heardAt ? behind : heardAt);
      }
    } else if (covering === null && owed === null) {
      enter("live", null);
    }
    // Otherwise a load is under way, and the page stays what it was until the answer is here.
  }

  function enter(name, since) {
    if (state !== name) {
      state = name;
      onState({ name, since });
    }
  }

  function signOut() {
    clearTimeout(reopening);
    source.close();
    enter("signed-out", null);
  }

  // Whatever happened while nobody was signed in is unknown: all of it is loaded before the page counts as live again.
  function resume() {
    if (state === "signed-out") {
      state = "resuming";
      heard = stamp();
      connect();
      refresh(heardAt);
    }
  }

  connect();
  refresh(heardAt);
  setInterval(() => {
    if (state === "signed-out") {
      return;
    }
    // A connection can die without a word (a sleeping router, a pulled plug): begin another.
    if (elapsedMs(heard) > SILENCE_MS && elapsedMs(attempted) > SILENCE_MS) {
      connect();
    }
    judge();
  }, 1000);

  return { refresh: () => refresh(now()), resume };
}

// Two clocks, because each lies in its own way: the wall clock can be set back, the steady one can stand still while
// the machine sleeps.
function stamp() {
  return { wall: Date.now(), steady: performance.now() };
}

function elapsedMs(since) {
  return Math.max(Date.now() - since.wall, performance.now() - since.steady);
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
