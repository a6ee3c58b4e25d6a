//! Decides what the caller says when, from what the caller hears. Pure: a tick is 20 ms of call time.

use std::time::Duration;

use bytes::Bytes;

use crate::audio::mulaw;
use crate::simulator::script::{LineFault, Script, Step};
use crate::simulator::voice::Sound;

/// Bytes of one tick.
pub(super) const FRAME: usize = 160;
const TICK_MS: u32 = 20;
/// A pause after which the agent has finished, provided that it has said about what the script says. Longer than the
/// pauses inside its sentences.
const PAUSE_MS: u32 = 500;
/// A pause after which it has finished, whatever it said.
const LONG_PAUSE_MS: u32 = 4_000;
/// What both last at least, in real time: however fast a call passes, a busy machine may be late by as much with the next frame,
/// and a server takes as long to dial its agent again.
const LEAST_PAUSE_MS: u32 = 150;
const LEAST_LONG_PAUSE_MS: u32 = 3_000;
/// After the last line, and this long without a sound, the caller hangs up. Real time, too.
const GIVE_UP_MS: u32 = 20_000;
/// Telephone keys are pressed this far apart.
const KEY_MS: u32 = 200;

/// What to do in one tick.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Utter {
    Silence,
    Frame([u8; FRAME]),
    HangUp,
}

/// What was noticed in one tick besides the sound.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Also {
    /// A line that begins: its words.
    pub(super) begins: Option<String>,
    pub(super) key: Option<char>,
    /// What goes wrong on the line.
    pub(super) trouble: Option<LineFault>,
}

/// The caller's side of a script.
#[derive(Debug)]
pub(super) struct Mouth {
    lines: std::vec::IntoIter<Line>,
    next: Option<Line>,
    /// How many have begun.
    begun: usize,
    audio: Bytes,
    keys: std::vec::IntoIter<char>,
    /// Call time in a second of real time, in seconds.
    speed: u32,
    /// After hearing nothing at all for this long the caller speaks anyway. Real time: see [`Mouth::at_speed`].
    patience_ms: u32,
    key_due_ms: u32,
    /// Since the caller last spoke.
    since_ms: u32,
    /// Of the agent's speech, since the caller last spoke.
    heard_ms: u32,
    quiet_ms: u32,
    /// How many lines may begin yet.
    allowed: usize,
    finished: bool,
}

#[derive(Debug)]
struct Line {
    text: String,
    audio: Bytes,
    digits: String,
    interrupt_after_ms: Option<u32>,
    pause_ms: u32,
    /// How much of the agent's speech comes before it, at least.
    after_speech_ms: u32,
    deed: Deed,
}

/// What is done when a line is due.
#[derive(Debug)]
enum Deed {
    Speak,
    HangUp,
    Trouble(LineFault),
}

impl Mouth {
    pub(super) fn new(script: &Script) -> Self {
        // A greeting's length is not in the script: hearing anything will do.
        let mut speech_ms = if script.greeting { TICK_MS } else { 0 };
        let bridge_ms = match script.bridge.is_empty() {
            true => 0,
            false => Sound { text: &script.bridge, clip: None }.duration_ms(),
        };
        let mut lines = Vec::new();
        for step in &script.steps {
            let silent = move |deed| Line {
                text: String::new(),
                audio: Bytes::new(),
                digits: String::new(),
                interrupt_after_ms: None,
                pause_ms: 0,
                after_speech_ms: speech_ms,
                deed,
            };
            let line = match step {
                Step::Agent(reply) => {
                    speech_ms += reply.least_ms();
                    continue;
                }
                Step::Fault(fault) if fault.kind.ends_connection() => {
                    speech_ms += bridge_ms;
                    continue;
                }
                Step::Caller(line) => Line {
                    text: line.text.clone(),
                    audio: line.audio.clone(),
                    digits: line.digits.clone(),
                    interrupt_after_ms: line.interrupt_after_ms,
                    pause_ms: line.pause_ms,
                    ..silent(Deed::Speak)
                },
                Step::HangUp => silent(Deed::HangUp),
                Step::Line(trouble) => {
                    // The caller goes on waiting for whatever they were waiting for.
                    lines.push(silent(Deed::Trouble(*trouble)));
                    continue;
                }
                Step::Tools(_) | Step::Expect(_) | Step::Turn(_) | Step::Fault(_) => continue,
            };
            speech_ms = 0;
            lines.push(line);
        }
        let mut lines = lines.into_iter();
        let next = lines.next();
        let finished = next.is_none();
        Self {
            lines,
            next,
            begun: 0,
            audio: Bytes::new(),
            keys: Vec::new().into_iter(),
            speed: 1,
            patience_ms: 10_000,
            key_due_ms: 0,
            since_ms: 0,
            heard_ms: 0,
            quiet_ms: 0,
            allowed: usize::MAX,
            finished,
        }
    }

    /// From now on no more than so many lines of the script begin, counted from its first.
    pub(super) fn allow(&mut self, lines: usize) {
        self.allowed = lines;
    }

    /// The caller of a call whose time passes faster. A caller loses patience in real time, because the server that it
    /// waits for, and the machine, become no faster with the call.
    pub(super) fn at_speed(self, speed: f64) -> Self {
        Self { speed: speed.ceil().clamp(1.0, 1_000.0) as u32, ..self }
    }

    /// A caller who waits for so long in silence before speaking anyway.
    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience_ms: u32::try_from(patience.as_millis()).unwrap_or(u32::MAX), ..self }
    }

    /// Whether everything has been said.
    pub(super) fn finished(&self) -> bool {
        self.finished
    }

    /// One tick, in which `heard` was played to the caller's ear.
    pub(super) fn tick(&mut self, heard: &[u8]) -> (Utter, Also) {
        self.heard_ms += u32::try_from(heard.len() / 8).unwrap_or(0);
        match is_loud(heard) {
            true => self.quiet_ms = 0,
            false => self.quiet_ms += TICK_MS,
        }
        let mut also = Also::default();
        self.since_ms = self.since_ms.saturating_add(TICK_MS);
        if self.audio.is_empty() && self.keys.len() == 0 {
            let Some(line) = self.take_due() else {
                let gives_up = self.finished && self.quiet_ms >= GIVE_UP_MS * self.speed;
                return (if gives_up { Utter::HangUp } else { Utter::Silence }, also);
            };
            match line.deed {
                Deed::HangUp => return (Utter::HangUp, also),
                Deed::Trouble(trouble) => {
                    also.trouble = Some(trouble);
                    self.step_on();
                    return (Utter::Silence, also);
                }
                Deed::Speak => {
                    also.begins = (!line.text.is_empty()).then_some(line.text);
                    self.audio = line.audio;
                    self.keys = line.digits.chars().collect::<Vec<_>>().into_iter();
                    self.key_due_ms = 0;
                }
            }
        }
        let utter = self.utter(&mut also);
        if self.audio.is_empty() && self.keys.len() == 0 {
            // Said: what the agent said before does not count as its answer.
            (self.heard_ms, self.quiet_ms, self.since_ms) = (0, 0, 0);
            self.step_on();
        }
        (utter, also)
    }

    fn take_due(&mut self) -> Option<Line> {
        if self.begun >= self.allowed {
            return None;
        }
        let (heard_ms, quiet_ms, since_ms) = (self.heard_ms, self.quiet_ms, self.since_ms);
        let pauses = Pauses::at_speed(self.speed, self.patience_ms);
        let due = self.next.take_if(|line| match &line.deed {
            Deed::Trouble(trouble) => since_ms >= trouble.after_ms && heard_ms >= trouble.heard_ms,
            Deed::Speak | Deed::HangUp => line.is_due(heard_ms, quiet_ms, &pauses),
        });
        self.begun += usize::from(due.is_some());
        due
    }

    fn step_on(&mut self) {
        self.next = self.lines.next();
        self.finished = self.next.is_none();
    }

    fn utter(&mut self, also: &mut Also) -> Utter {
        if !self.audio.is_empty() {
            let piece = self.audio.split_to(self.audio.len().min(FRAME));
            let mut frame = [mulaw::SILENCE; FRAME];
            frame[..piece.len()].copy_from_slice(&piece);
            return Utter::Frame(frame);
        }
        self.key_due_ms = match self.key_due_ms.checked_sub(TICK_MS) {
            Some(left) => left,
            None => {
                also.key = self.keys.next();
                KEY_MS
            }
        };
        Utter::Silence
    }
}

/// How long it has to be quiet, in call time.
struct Pauses {
    /// When the agent has said its part.
    short_ms: u32,
    /// When it has said anything.
    long_ms: u32,
    /// When it has said nothing.
    patience_ms: u32,
}

impl Pauses {
    fn at_speed(speed: u32, patience_ms: u32) -> Self {
        Self {
            short_ms: PAUSE_MS.max(LEAST_PAUSE_MS.saturating_mul(speed)),
            long_ms: LONG_PAUSE_MS.max(LEAST_LONG_PAUSE_MS.saturating_mul(speed)),
            patience_ms: patience_ms.saturating_mul(speed),
        }
    }
}

impl Line {
    fn is_due(&self, heard_ms: u32, quiet_ms: u32, pauses: &Pauses) -> bool {
        if let Some(after) = self.interrupt_after_ms {
            return heard_ms > after;
        }
        // Padding and resampling may cost the agent's speech a frame or two.
        let said_its_part = heard_ms >= self.after_speech_ms / 10 * 9;
        let quiet_ms = quiet_ms.saturating_sub(self.pause_ms);
        said_its_part && quiet_ms >= pauses.short_ms
            || heard_ms > 0 && quiet_ms >= pauses.long_ms
            || quiet_ms >= pauses.patience_ms
    }
}

/// Whether any sample is louder than a line's noise: the codes of µ-law count down as magnitudes rise.
fn is_loud(audio: &[u8]) -> bool {
    audio.iter().any(|code| code & 0x7f < 0x60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::script::LineTrouble;

    const LOUD: [u8; FRAME] = [0x20; FRAME];

    fn script(steps: &str) -> Script {
        Script::parse(&format!("name = \"x\"\n{steps}")).unwrap()
    }

    /// Ticks, each with what is heard in it, until something is uttered; the number of ticks that took.
    fn ticks_until_speech(mouth: &mut Mouth, mut heard: impl FnMut(u32) -> bool) -> u32 {
        for tick in 1..2_000 {
            let frame: &[u8] = if heard(tick) { &LOUD } else { &[] };
            if mouth.tick(frame).0 != Utter::Silence {
                return tick;
            }
        }
        panic!("never spoke")
    }

    fn finish_line(mouth: &mut Mouth) {
        while matches!(mouth.tick(&[]).0, Utter::Frame(_)) {}
    }

    #[test]
    fn a_line_waits_for_the_greeting_and_a_pause() {
        let mut mouth = Mouth::new(&script("[[step]]\ncaller = \"Hello\""));
        // Two seconds of nothing, a second of greeting, then the pause.
        assert_eq!(ticks_until_speech(&mut mouth, |tick| (100..150).contains(&tick)), 149 + 25);
        finish_line(&mut mouth);
        assert!(mouth.finished());
    }

    #[test]
    fn a_pause_inside_the_reply_is_not_its_end() {
        let mut mouth = Mouth::new(&script(
            "[[step]]\ncaller = \"Hi\"\n[[step]]\nagent = \"A sentence of about forty letters, yes.\"\n\
             [[step]]\ntools = [{ name = \"a\" }]\n[[step]]\nagent = \"And then some more.\"\n\
             [[step]]\ncaller = \"Yes\"",
        ));
        ticks_until_speech(&mut mouth, |tick| tick < 10);
        finish_line(&mut mouth);
        // 40 letters are 2.6 s, 19 are 1.24 s; a tool call of 1 s comes between.
        let spoke = ticks_until_speech(&mut mouth, |tick| tick < 130 || (180..242).contains(&tick));
        assert_eq!(spoke, 241 + 25);
    }

    #[test]
    fn a_shorter_reply_or_none_at_all_does_not_stop_the_caller_for_ever() {
        let lines = "[[step]]\nagent = \"A sentence of about forty letters, yes.\"\n[[step]]\ncaller = \"Yes\"";
        let mut mouth = Mouth::new(&script(lines));
        assert_eq!(ticks_until_speech(&mut mouth, |tick| tick < 10), 9 + LONG_PAUSE_MS / TICK_MS);
        let mut mouth = Mouth::new(&script(lines));
        assert_eq!(ticks_until_speech(&mut mouth, |_| false), 10_000 / TICK_MS);
    }

    #[test]
    fn an_agent_that_comes_back_is_heard_out() {
        let steps = "step = [{ caller = \"Hi\" }, { fault = \"close\" }, { agent = \"Yes?\" }, { caller = \"Tea\" }]";
        let mut mouth = Mouth::new(&script(&format!("bridge = \"Sorry, I am back with you now.\"\n{steps}")));
        ticks_until_speech(&mut mouth, |tick| tick < 10);
        finish_line(&mut mouth);
        // 30 letters are 1.96 s; the reply of 0.5 s comes a second later.
        let spoke = ticks_until_speech(&mut mouth, |tick| (10..108).contains(&tick) || (158..183).contains(&tick));
        assert_eq!(spoke, 182 + 25);
    }

    #[test]
    fn a_patient_caller_waits_longer() {
        let mouth = Mouth::new(&script("[[step]]\ncaller = \"Yes\""));
        let mut mouth = mouth.patient(Duration::from_secs(12));
        assert_eq!(ticks_until_speech(&mut mouth, |_| false), 12_000 / TICK_MS);
    }

    #[test]
    fn pauses_of_a_fast_call_last_what_the_machine_needs() {
        let lines = "[[step]]\ncaller = \"Hi\"\n[[step]]\nagent = \"A sentence of about forty letters, yes.\"\n[[step]]\ncaller = \"Yes\"";
        let mut mouth = Mouth::new(&script(lines)).at_speed(10.0);
        assert_eq!(ticks_until_speech(&mut mouth, |tick| tick < 10), 9 + 10 * LEAST_PAUSE_MS / TICK_MS);
        finish_line(&mut mouth);
        assert_eq!(ticks_until_speech(&mut mouth, |tick| tick < 10), 9 + 10 * LEAST_LONG_PAUSE_MS / TICK_MS);
    }

    #[test]
    fn trouble_comes_in_its_place_and_takes_no_turn() {
        let steps = "step = [{ line = \"lose_marks\", heard_ms = 100 }, { caller = \"Hi\" }, { line = \"stop\", after_ms = 60 }]";
        let mut mouth = Mouth::new(&script(steps));
        let mut trouble = Vec::new();
        let mut spoke = None;
        for tick in 1..200 {
            let heard: &[u8] = if tick <= 10 { &LOUD } else { &[] };
            let (utter, also) = mouth.tick(heard);
            trouble.extend(also.trouble.map(|trouble| (tick, trouble.kind)));
            if utter != Utter::Silence {
                spoke = Some(tick);
            }
        }
        let (first, last) = (10 + 25, spoke.unwrap());
        assert_eq!(last - first, 24, "half a second");
        assert_eq!(trouble, [(5, LineTrouble::LoseMarks), (last + 3, LineTrouble::Stop)]);
        assert!(mouth.finished());
    }

    #[test]
    fn an_interruption_comes_while_the_agent_speaks() {
        let mut mouth = Mouth::new(&script("[[step]]\ncaller = \"Wait!\"\ninterrupt_after_ms = 600"));
        assert_eq!(ticks_until_speech(&mut mouth, |tick| tick > 50), 50 + 31);
    }

    #[test]
    fn keys_are_pressed_after_the_words_and_apart() {
        let mut mouth = Mouth::new(&script("greeting = false\n[[step]]\ncaller = \"My number\"\ndigits = \"12\""));
        let (mut keys, mut words) = (Vec::new(), 0);
        for tick in 0.. {
            let (utter, also) = mouth.tick(&[]);
            words += u32::from(matches!(utter, Utter::Frame(_)));
            keys.extend(also.key.map(|key| (tick, key)));
            if mouth.finished() {
                break;
            }
        }
        let [(first, '1'), (second, '2')] = keys[..] else { panic!("{keys:?}") };
        assert_eq!(second - first, 11);
        assert_eq!(words, 9 * 65 / 20 + 1);
    }

    #[test]
    fn the_caller_hangs_up_when_told_to_or_when_nothing_more_comes() {
        let mut mouth = Mouth::new(&script("[[step]]\nagent = \"Hello there\"\n[[step]]\nhang_up = true"));
        for _ in 0..36 {
            assert_eq!(mouth.tick(&LOUD).0, Utter::Silence);
        }
        let hung_up = (0..).find(|_| mouth.tick(&[]).0 == Utter::HangUp);
        assert_eq!(hung_up, Some(24));
        let mut mouth = Mouth::new(&script("[[step]]\nagent = \"Hello there\""));
        let hung_up = (1..).find(|_| mouth.tick(&[]).0 == Utter::HangUp);
        assert_eq!(hung_up, Some(GIVE_UP_MS / TICK_MS));
        let mut mouth = Mouth::new(&script("[[step]]\nagent = \"Hello there\"")).at_speed(7.5);
        let hung_up = (1..).find(|_| mouth.tick(&[]).0 == Utter::HangUp);
        assert_eq!(hung_up, Some(8 * GIVE_UP_MS / TICK_MS), "as patient as at any speed");
    }
}
