// What callers have left on tape. And calls that have ended: a list, and for who asks, what is kept of one: its timeline and, where the shop keeps it, what
// was said.
//
// The call that is shown is named in the address, so that it can be linked to and the browser's own buttons go back.

import { shown } from "./messages.js";
import { byId, element, inWords, moment, openPage, readable, say } from "./page.js";
import { get } from "./server.js";
import { text } from "./text.js";

const PAGE = 50;

let cursor = null;
let asked = 0;

openPage(text.recordsTitle);
byId("older").addEventListener("click", more);
window.addEventListener("hashchange", () => show(true));
more().then(() => show(false));
listen();

async function listen() {
  try {
    const { voicemails } = await get("/api/voicemails");
    byId("messages").hidden = voicemails.length === 0;
    byId("messages-list").replaceChildren(...voicemails.map(message));
    shown(voicemails.map(({ at }) => at));
  } catch (error) {
    say(byId("problem"), inWords(error));
  }
}

function message(left) {
  const when = moment(new Date(left.at));
  const who = left.from === null ? text.messageWithheld : readable(left.from);
  const length = left.seconds === null ? text.messageNotReady : text.messageSeconds(left.seconds);
  const sound = element("audio", "");
  sound.controls = true;
  sound.preload = "none";
  sound.src = left.sound;
  sound.setAttribute("aria-label", text.messageFrom(when, who));
  sound.addEventListener("playing", () => say(byId("message-problem"), ""));
  sound.addEventListener("error", () => {
    say(byId("message-problem"), text.messageSilent);
    // A player that has failed once does not try again by itself.
    sound.load();
  });
  const words = element("p", "", element("b", "", when), " ", who, " ", element("span", "soft", length));
  return element("li", null, words, sound);
}

async function more() {
  const after = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
  try {
    const page = await get(`/api/v1/calls?limit=${PAGE}${after}`);
    say(byId("problem"), "");
    cursor = page.next_cursor;
    byId("calls").append(...page.calls.map(line));
    byId("older").hidden = cursor === null;
    say(byId("nothing"), byId("calls").children.length === 0 ? text.recordsNone : "");
    mark();
  } catch (error) {
    say(byId("problem"), inWords(error));
  }
}

function line(call) {
  const link = element(
    "a",
    "records-call",
    element("b", "", moment(new Date(call.began_at))),
    element("span", "", ending(call.end_reason)),
    element("span", "soft", inShort(call)),
  );
  link.href = `#${encodeURIComponent(call.call_sid)}`;
  link.dataset.call = call.call_sid;
  return element("li", null, link);
}

function chosen() {
  return decodeURIComponent(window.location.hash.slice(1));
}

function mark() {
  document.querySelectorAll("[data-call]").forEach((link) => {
    if (link.dataset.call === chosen()) {
      link.setAttribute("aria-current", "true");
    } else {
      link.removeAttribute("aria-current");
    }
  });
}

async function show(moveFocus) {
  mark();
  const call = chosen();
  if (call === "" || call === "record-heading") {
    return;
  }
  const mine = (asked += 1);
  try {
    const record = await get(`/api/v1/calls/${encodeURIComponent(call)}`);
    // Somebody who taps twice wants the second.
    if (mine === asked) {
      say(byId("problem"), "");
      fill(record, moveFocus);
    }
  } catch (error) {
    if (mine === asked) {
      say(byId("problem"), error.status === 404 ? text.recordsGone : inWords(error));
    }
  }
}

function fill(record, moveFocus) {
  const heading = byId("record-heading");
  heading.textContent = text.recordOf(moment(new Date(record.began_at)));
  const facts = element("dl", "records-facts");
  const fact = (name, value) => facts.append(element("div", null, element("dt", null, name), element("dd", null, value)));
  fact(text.recordEnded, ending(record.end_reason));
  fact(text.recordDuration, clock(record.duration_ms));
  fact(text.recordOrder, record.order_number === null ? text.recordNoOrder : record.order_number);
  fact(text.recordReplies, record.replies);
  fact(text.recordBargeIns, record.barge_ins);
  fact(text.recordTools, text.recordToolsOf(record.tools, record.slow_tools));
  fact(text.recordRedials, record.redials);
  const parts = [facts];
  if (record.transcript !== null) {
    parts.push(
      element("h3", null, text.recordTranscript),
      element("ol", "records-said", ...record.transcript.map(said)),
      element("p", "soft", record.transcript.length === 0 ? text.recordSilent : record.transcript_cut ? text.recordCut : ""),
    );
  }
  parts.push(
    element("h3", null, text.recordTimeline),
    element("ol", "records-timeline", ...record.timeline.map(happened)),
    element("p", "soft", record.timeline.length === 0 ? text.recordQuiet : record.timeline_cut ? text.recordCut : ""),
    element("p", "soft records-sid", text.recordSid(record.call_sid)),
  );
  byId("whole").replaceChildren(...parts);
  if (moveFocus) {
    heading.focus();
    heading.scrollIntoView({ block: "nearest" });
  }
}

function said(spoken) {
  const who = element("b", null, text.who[spoken.who] || spoken.who);
  const at = element("span", "records-at", clock(spoken.at_ms));
  return element("li", `said ${spoken.who === "caller" ? "caller" : "agent"}`, at, " ", who, " ", element("bdi", null, spoken.text));
}

function happened(entry) {
  const words = text.recordHappened[entry.what];
  return element("li", null, element("span", "records-at", clock(entry.at_ms)), " ", words ? words(entry) : entry.what);
}

function ending(reason) {
  return text.endings[reason] || reason;
}

function inShort(call) {
  const order = call.order_number === null ? text.recordNoOrder : text.orderHeading(call.order_number);
  return `${clock(call.duration_ms)} · ${order}`;
}

/** Minutes and seconds. */
function clock(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
