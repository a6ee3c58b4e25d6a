// Three soft tones, made here: there is no file to load. Where the browser keeps sound locked there is none, and
// nothing is asked of anybody; a key or a touch, should one come, unlocks it.

// A rising C major chord, seconds after the first tone.
const TONES = [
  { hertz: 523.25, after: 0 },
  { hertz: 659.25, after: 0.16 },
  { hertz: 783.99, after: 0.32 },
];
const LENGTH_S = 1.6;
const LOUDNESS = 0.22;

/** The sound of this page. */
export class Chime {
  constructor() {
    const Context = window.AudioContext || window.webkitAudioContext;
    this.context = null;
    /** Whether somebody's touch unlocked the sound: a reload would lock it again. */
    this.isUnlockedByHand = false;
    try {
      this.context = new Context();
    } catch (error) {
      // No sound in this browser.
      return;
    }
    ["pointerdown", "keydown"].forEach((kind) => window.addEventListener(kind, () => this.unlock()));
  }

  /** Sounds, or does nothing while sound is locked: a chime that comes late would announce nobody. */
  play() {
    if (this.context !== null && this.context.state === "running") {
      TONES.forEach((tone) => this.sound(tone.hertz, this.context.currentTime + 0.02 + tone.after));
    }
  }

  unlock() {
    if (this.context.state === "suspended") {
      this.context.resume().then(() => {
        this.isUnlockedByHand = true;
      }, () => {});
    }
  }

  // A bell is its tone and a quieter octave, struck quickly and dying away slowly.
  sound(hertz, at) {
    const gain = this.context.createGain();
    gain.gain.setValueAtTime(0.0001, at);
    gain.gain.exponentialRampToValueAtTime(LOUDNESS, at + 0.015);
    gain.gain.exponentialRampToValueAtTime(0.0001, at + LENGTH_S);
    gain.connect(this.context.destination);
    [{ times: 1, share: 1 }, { times: 2, share: 0.25 }].forEach(({ times, share }) => {
      const tone = this.context.createOscillator();
      const part = this.context.createGain();
      tone.type = "sine";
      tone.frequency.value = hertz * times;
      part.gain.value = share;
      tone.connect(part);
      part.connect(gain);
      tone.onended = () => {
        part.disconnect();
        gain.disconnect();
      };
      tone.start(at);
      tone.stop(at + LENGTH_S);
    });
  }
}
