// The shift: sound and a screen that stays awake, from the tap that a browser demands for both.
//
// Three figures of tones, made here, for what is new, changed and cancelled: told apart with the back to the screen.

import { icon } from "./icons.js";
import { say } from "./page.js";
import { text } from "./text.js";

const MUTED_KEY = "console-muted";

// Notes as [hertz, seconds after the beginning, seconds long].
const FIGURES = {
  started: [[523, 0, 0.12], [784, 0.12, 0.2]],
  new: [[659, 0, 0.16], [880, 0.16, 0.16], [1175, 0.32, 0.4]],
  changed: [[740, 0, 0.14], [740, 0.22, 0.14], [740, 0.44, 0.14]],
  cancelled: [[440, 0, 0.28], [330, 0.28, 0.28], [220, 0.56, 0.5]],
};
const LOUDNESS = 0.35;

/**
 * The shift. `start` and `toggle` are its two buttons; `remark` says for good what cannot be had, `notice(words)` when
 * the shift begins; `play(figure)` sounds.
 */
export function shift(start, toggle, remark, notice) {
  let audio = null;
  let muted = remembered();
  let lock = null;
  let begun = false;

  start.addEventListener("click", begin);
  toggle.addEventListener("click", () => {
    muted = !muted;
    remember(muted);
    show();
    play("started");
  });
  document.addEventListener("visibilitychange", () => {
    if (begun && document.visibilityState === "visible") {
      keepAwake();
      wake();
    }
  });
  show();

  async function begin() {
    begun = true;
    // Each may be refused, and neither must take the other along.
    const awake = keepAwake();
    openAudio();
    await wake();
    show();
    play("started");
    await awake;
    notice([sounding() ? "" : text.noSound, remark.textContent].filter(Boolean).join(" "));
    if (!toggle.hidden) {
      toggle.focus({ preventScroll: true });
    }
  }

  function openAudio() {
    const Audio = window.AudioContext || window.webkitAudioContext;
    if (Audio && audio === null) {
      try {
        audio = new Audio();
        audio.onstatechange = show;
      } catch (error) {
        // No sound device: the button stays, and the words say so.
      }
    }
  }

  async function wake() {
    if (audio !== null && audio.state !== "running") {
      try {
        await audio.resume();
      } catch (error) {
        // Still locked: the button stays, and says so.
      }
    }
  }

  async function keepAwake() {
    if (!("wakeLock" in navigator)) {
      say(remark, text.mayFallAsleep);
      return;
    }
    try {
      if (lock === null) {
        lock = await navigator.wakeLock.request("screen");
        lock.addEventListener("release", () => (lock = null));
      }
      say(remark, "");
    } catch (error) {
      say(remark, text.mayFallAsleep);
    }
  }

  function sounding() {
    return audio !== null && audio.state === "running";
  }

  function show() {
    const on = sounding();
    start.hidden = on;
    toggle.hidden = !on;
    toggle.textContent = "";
    toggle.append(icon(muted ? "muted" : "bell"), muted ? text.muted : text.soundOn);
    toggle.setAttribute("aria-pressed", String(!muted));
    toggle.setAttribute("aria-label", text.soundLabel);
    document.documentElement.dataset.sound = !on ? "off" : muted ? "muted" : "on";
  }

  function play(figure) {
    if (muted || !sounding()) {
      return;
    }
    FIGURES[figure].forEach(([hertz, after, long]) => {
      const at = audio.currentTime + after;
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.type = "triangle";
      tone.frequency.value = hertz;
      volume.gain.setValueAtTime(0.0001, at);
      volume.gain.exponentialRampToValueAtTime(LOUDNESS, at + 0.015);
      volume.gain.exponentialRampToValueAtTime(0.0001, at + long);
      tone.connect(volume);
      volume.connect(audio.destination);
      tone.start(at);
      tone.stop(at + long);
    });
    document.documentElement.dataset.played = figure;
  }

  return { play };
}

// A browser may keep nothing (private windows, full disks); then nothing is remembered.
function remembered() {
  try {
    return localStorage.getItem(MUTED_KEY) === "true";
  } catch (error) {
    return false;
  }
}

function remember(muted) {
  try {
    localStorage.setItem(MUTED_KEY, String(muted));
  } catch (error) {
    // As it is now is how it stays until the page closes.
  }
}
