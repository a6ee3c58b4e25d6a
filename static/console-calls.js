// Calls in progress: one quiet line, and for who asks, a call to read along.

import { dialog } from "./dialog.js";
import { element, minutesSince, say } from "./page.js";
import { text } from "./text.js";

// What is nearer to the end than this is followed as it grows.
const AT_END_PX = 60;

/** The line (`root`, a button). `show(calls, readable)` brings it up to date, `tick()` its times. */
export function callLine(root) {
  let calls = [];
  let source = null;
  let followed = null;

  const list = element("ul", "call-list");
  const heading = element("h3", "panel-heading");
  const said = element("ol", "");
  const log = element("div", "transcript", said);
  log.tabIndex = 0;
  log.setAttribute("role", "log");
  log.setAttribute("aria-label", text.transcript);
  const box = dialog({ kind: "drawer", title: text.callsHeading, onClose: stop });
  box.root.id = "calls-drawer";
  const earlier = element("a", "", text.earlierCalls);
  earlier.href = "/barista/calls";
  box.body.append(element("p", "soft", text.callsMore), list, heading, log, element("p", "call-earlier", earlier));
  say(heading, "");
  root.addEventListener("click", () => {
    if (!root.disabled) {
      box.open();
      showList();
    }
  });

  function show(next, readable) {
    calls = next;
    root.disabled = !readable;
    tick();
  }

  function tick() {
    const longest = Math.max(0, ...calls.map(minutesOf));
    say(root, calls.length === 0 ? "" : text.callsInProgress(calls.length, longest));
    if (box.isOpen()) {
      showList();
    }
  }

  function showList() {
    const as = calls.map((call) => `${call.call_sid} ${minutesOf(call)}`).join();
    if (list.dataset.shown === as) {
      return;
    }
    list.dataset.shown = as;
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.call : null;
    list.textContent = "";
    list.append(...calls.map(callButton));
    const again = Array.from(list.querySelectorAll("button")).find((made) => made.dataset.call === focused);
    if (again) {
      again.focus();
    }
  }

  function callButton(call, index) {
    const made = element("button", "button", text.readAlong(index + 1, minutesOf(call)));
    made.type = "button";
    made.dataset.call = call.call_sid;
    made.setAttribute("aria-pressed", String(call.call_sid === followed));
    made.addEventListener("click", () => read(call.call_sid, index + 1));
    return element("li", "", made);
  }

  function read(sid, number) {
    stop();
    followed = sid;
    list.dataset.shown = "";
    showList();
    say(heading, text.callNumber(number));
    source = new EventSource(`/barista/calls/${encodeURIComponent(sid)}/events`);
    // A connection that is made anew goes on where the one before ended.
    source.onmessage = (message) => hear(JSON.parse(message.data));
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) {
        end(text.callLost);
      }
    };
  }

  function hear(event) {
    if (event.type === "said") {
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < AT_END_PX;
      said.append(element("li", `said ${event.who === "caller" ? "caller" : "agent"}`, element("b", "", text.who[event.who] || event.who), " ", event.text));
      if (atEnd) {
        log.scrollTop = log.scrollHeight;
      }
    } else if (event.type === "call_ended") {
      end(text.callEnded);
    }
  }

  function end(words) {
    said.append(element("li", "said soft", words));
    if (source) {
      source.close();
      source = null;
    }
  }

  function stop() {
    if (source) {
      source.close();
      source = null;
    }
    followed = null;
    said.textContent = "";
    say(heading, "");
  }

  return { show, tick };
}

function minutesOf(call) {
  return minutesSince(Date.parse(call.started_at) / 1000);
}
