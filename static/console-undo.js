// The bar at the bottom: what was just done, with a way back for as long as there is one; and what went wrong.
//
// Knows no orders. Several things done one after another lie on a pile: the last one is the first to be taken back.

import { icon } from "./icons.js";
import { element, say } from "./page.js";
import { text } from "./text.js";

const NOTICE_MS = 9000;
const TICK_MS = 100;
// A bar that comes up under a finger must not take the tap that was meant for what lay there.
const SETTLE_MS = 400;

/**
 * The bars. `root` is their element. `offer(words, back, ms, holds)` says what was done and gives `ms` to call `back()`,
 * for as long as `holds()`; `notice(words)` says something for a while; `takeBack()` undoes the last thing done, and answers
 * whether there was one.
 */
export function bars() {
  let pile = [];
  let shown = null;
  let shownAt = 0;
  let ticking = 0;
  let noticeGone = 0;

  const words = element("span", "bar-words");
  const label = element("span", "", text.undo);
  const seconds = element("span", "bar-seconds");
  const undo = element("button", "button bar-undo", icon("undo"), label, element("kbd", "", text.undoKey), seconds);
  undo.type = "button";
  undo.id = "undo";
  undo.setAttribute("aria-keyshortcuts", text.undoKey);
  seconds.setAttribute("aria-hidden", "true");
  const left = element("span", "bar-left");
  const bar = element("div", "bar undo-bar", words, undo, left);
  bar.id = "undo-bar";
  bar.hidden = true;

  const noticeWords = element("span", "bar-words");
  const shut = element("button", "icon-button", icon("close"));
  shut.type = "button";
  shut.setAttribute("aria-label", text.close);
  const noticeBar = element("div", "bar notice-bar", noticeWords, shut);
  noticeBar.id = "notice";
  noticeBar.setAttribute("role", "alert");
  noticeBar.hidden = true;
  const root = element("div", "bars", noticeBar, bar);

  undo.addEventListener("click", () => {
    if (performance.now() - shownAt > SETTLE_MS) {
      takeBack();
    }
  });
  shut.addEventListener("click", () => notice(""));

  function offer(what, back, ms, holds = () => true) {
    const at = performance.now();
    pile.push({ what, back, holds, from: at, until: at + ms });
    show();
  }

  function takeBack() {
    drop();
    const last = pile.pop();
    show();
    if (last) {
      last.back();
    }
    return last !== undefined;
  }

  function drop() {
    const at = performance.now();
    pile = pile.filter((one) => one.until > at && one.holds());
  }

  function show() {
    drop();
    const last = pile[pile.length - 1] || null;
    if (last !== shown) {
      if (shown === null) {
        shownAt = performance.now();
      }
      shown = last;
      bar.hidden = last === null;
      if (last !== null) {
        words.textContent = last.what;
      }
    }
    clearTimeout(ticking);
    if (last !== null) {
      const rest = last.until - performance.now();
      left.style.transform = `scaleX(${Math.max(0, rest / (last.until - last.from)).toFixed(3)})`;
      seconds.textContent = text.seconds(Math.ceil(rest / 1000));
      ticking = setTimeout(show, TICK_MS);
    }
  }

  function notice(what) {
    clearTimeout(noticeGone);
    say(noticeWords, what);
    noticeBar.hidden = what === "";
    if (what !== "") {
      noticeGone = setTimeout(() => notice(""), NOTICE_MS);
    }
  }

  return { root, offer, notice, takeBack };
}
