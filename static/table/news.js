// What is said to the guest: short notices that come and go, and the same for screen readers.
//
// Everything here lives in the layer, which stays above and inside of whatever dialog is open.

import { icon } from "../icons.js";
import { byId, element } from "../page.js";
import { words } from "./words.js";

const SHOWN_MS = 4000;
const AT_MOST = 1;

/**
 * Shows a sentence for a while. `kind` is `news`, `good`, `problem`, which stays longer and can be dismissed, or `lasting`: a
 * problem that stays until it is dismissed.
 */
export function tell(sentence, kind) {
  const lasts = kind === "lasting";
  const isProblem = kind === "problem" || lasts;
  const notices = byId(isProblem ? "problems" : "notices");
  if (Array.from(notices.children).some((notice) => notice.dataset.says === sentence)) {
    return;
  }
  const notice = element("div", `notice ${isProblem ? "problem" : kind}`, element("span", "", sentence));
  notice.dataset.says = sentence;
  notice.classList.toggle("lasting", lasts);
  if (isProblem) {
    const shut = element("button", "icon-button", icon("close"));
    shut.type = "button";
    shut.setAttribute("aria-label", words.dismiss);
    shut.addEventListener("click", () => notice.remove());
    notice.append(shut);
  }
  if (isProblem && !lasts) {
    setTimeout(() => notice.remove(), SHOWN_MS * 4);
  } else if (!isProblem) {
    setTimeout(() => notice.remove(), SHOWN_MS);
  }
  notices.append(notice);
  passing(notices).slice(0, -AT_MOST).forEach((old) => old.remove());
}

/** Takes a problem away that is none any more. */
export function untell(sentence) {
  const problems = Array.from(byId("problems").children);
  problems.filter((notice) => notice.dataset.says === sentence).forEach((notice) => notice.remove());
}

/** Takes problems away, but for those that last: what they were about has been settled. */
export function settleProblems() {
  passing(byId("problems")).forEach((notice) => notice.remove());
}

function passing(notices) {
  return Array.from(notices.querySelectorAll(".notice:not(.lasting)"));
}
