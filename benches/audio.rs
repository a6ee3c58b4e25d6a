//! What the sound path costs, a frame of 20 ms at a time, beside the bare µ-law look-ups of the same frame.
//!
//! Every line is timed in turn, many times over, and the fastest time of each counts: other work on the machine can only
//! add to a time, and what slows the machine as a whole slows all lines alike. So the ratios are worth more than the
//! nanoseconds.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use bobarista::audio::{Downsampler, FRAME_BYTES, Framer, Upsampler, mulaw};

/// Frames of speech in use, of the 195 and 201 that there are: a power of two makes picking one cheap.
const FRAMES: usize = 128;

/// Calls timed at once, so that reading the clock does not count.
const CALLS: usize = 256;

const ROUNDS: usize = 4000;

/// Without `--bench`, as `cargo test` runs it: it is shown that it works, and nothing is measured.
const ROUNDS_UNMEASURED: usize = 2;

/// A line of the table: what is timed, and the fastest time of a call so far.
struct Line<'a> {
    name: &'static str,
    work: Box<dyn FnMut(usize) + 'a>,
    best: Duration,
}

impl<'a> Line<'a> {
    /// `work` gets the number of the frame of speech to work on.
    fn new(name: &'static str, work: impl FnMut(usize) + 'a) -> Self {
        Self { name, work: Box::new(work), best: Duration::MAX }
    }

    fn time(&mut self, round: usize) {
        let start = Instant::now();
        for call in 0..CALLS {
            (self.work)((round + call) % FRAMES);
        }
        self.best = self.best.min(start.elapsed());
    }

    fn nanoseconds(&self) -> f64 {
        self.best.as_secs_f64() * 1e9 / CALLS as f64
    }
}

fn main() {
    let caller = speech("caller_taro_8k.ulaw");
    let caller = caller.as_chunks::<FRAME_BYTES>().0;
    let agent = speech("agent_reply_24k.s16le");
    let agent = agent.as_chunks::<{ FRAME_BYTES * 6 }>().0;
    // A telephone frame of linear samples, for the bare encoding.
    let linear: Vec<[i16; FRAME_BYTES]> = caller.iter().map(|frame| frame.map(mulaw::decode)).collect();

    let mut decoded = [0; FRAME_BYTES];
    let mut upsampler = Upsampler::new();
    let mut up = Vec::with_capacity(12 * FRAME_BYTES);
    let mut encoded = [0; FRAME_BYTES];
    let mut downsampler = Downsampler::new();
    let mut down = Vec::with_capacity(2 * FRAME_BYTES);
    let mut uneven_downsampler = Downsampler::new();
    let mut uneven = Vec::with_capacity(2 * FRAME_BYTES);
    let mut framer = Framer::new();
    let mut lines = [
        Line::new("up: look-ups alone", |frame| {
            for (sample, code) in decoded.iter_mut().zip(black_box(&caller[frame])) {
                *sample = mulaw::decode(*code);
            }
            black_box(&decoded);
        }),
        Line::new("up: µ-law to linear16 at 48 kHz", |frame| {
            up.clear();
            upsampler.push(black_box(&caller[frame]), &mut up);
            black_box(&up);
        }),
        Line::new("down: look-ups alone", |frame| {
            for (code, sample) in encoded.iter_mut().zip(black_box(&linear[frame])) {
                *code = mulaw::encode(*sample);
            }
            black_box(&encoded);
        }),
        Line::new("down: linear16 at 24 kHz to µ-law", |frame| {
            down.clear();
            downsampler.push(black_box(&agent[frame]), &mut down);
            black_box(&down);
        }),
        Line::new("down, split at an odd byte, framed", |frame| {
            uneven.clear();
            let (head, rest) = black_box(&agent[frame]).split_at(481);
            uneven_downsampler.push(head, &mut uneven);
            uneven_downsampler.push(rest, &mut uneven);
            framer.push(&uneven, |frame| {
                black_box(frame);
            });
        }),
    ];
    let measured = std::env::args().any(|argument| argument == "--bench");
    for round in 0..if measured { ROUNDS } else { ROUNDS_UNMEASURED } {
        for line in &mut lines {
            line.time(round);
        }
    }

    println!("{:<40} {:>12} {:>12}", "a frame of 20 ms", "ns", "× look-ups");
    let mut bare = f64::NAN;
    for line in &lines {
        let time = line.nanoseconds();
        if line.name.ends_with("alone") {
            bare = time;
        }
        println!("{:<40} {time:>12.0} {:>12.1}", line.name, time / bare);
    }
    let call_second = (lines[1].nanoseconds() + lines[3].nanoseconds()) * 50.0;
    println!("both ways, a second of call: {:.0} µs", call_second / 1e3);
}

fn speech(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
