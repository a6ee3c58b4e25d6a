//! The filters measured as they are used: bytes in, bytes out, whole path.
//!
//! Tones have whole numbers of periods in what is analysed and start-up is skipped, so every figure is one bin of a
//! discrete Fourier transform, free of leakage.

use std::f64::consts::TAU;
use std::path::Path;

use proptest::prelude::*;

use super::down::Decimator;
use super::taps::{DOWN_HALF, DOWN_TAPS, UP, UP_HALF, UP_TAPS};
use super::{Downsampler, Upsampler};
use crate::audio::mulaw;

/// Analysed at 8 kHz: 100 ms, which makes bins of 10 Hz.
const BINS: usize = 800;

/// Run before the analysis starts, at 8 kHz: longer than any filter.
const START: usize = 80;

/// The tones that measure the pass band, in Hz.
fn speech_band() -> impl Iterator<Item = u32> {
    (200..=3400).step_by(50)
}

fn tone(hertz: u32, rate: u32, amplitude: f64, length: usize) -> Vec<i16> {
    let step = TAU * f64::from(hertz) / f64::from(rate);
    (0..length).map(|n| (amplitude * (step * n as f64).sin()).round() as i16).collect()
}

/// One bin of the transform: amplitude and phase in radians.
fn bin(samples: &[i16], hertz: u32, rate: u32) -> (f64, f64) {
    let step = TAU * f64::from(hertz) / f64::from(rate);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = step * n as f64;
        re += f64::from(*sample) * angle.cos();
        im -= f64::from(*sample) * angle.sin();
    }
    (2.0 * re.hypot(im) / samples.len() as f64, im.atan2(re))
}

fn decibels(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

fn linear16(bytes: &[u8]) -> Vec<i16> {
    let (samples, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    samples.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn up(codes: &[u8]) -> Vec<i16> {
    let mut out = Vec::new();
    Upsampler::new().push(codes, &mut out);
    linear16(&out)
}

/// The way down, before µ-law.
fn down_linear(samples: &[i16]) -> Vec<i16> {
    let mut out = Vec::new();
    Decimator::default().push(bytes(samples).as_chunks().0, |samples| out.extend_from_slice(samples));
    out
}

fn down(linear16: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut downsampler = Downsampler::new();
    downsampler.push(linear16, &mut out);
    downsampler.finish(&mut out);
    out
}

/// A tone's way up: the linear values of its µ-law codes, and the output, both without the start.
fn tone_up(hertz: u32) -> (Vec<i16>, Vec<i16>) {
    let codes: Vec<u8> = tone(hertz, 8000, 16_000.0, START + BINS).into_iter().map(mulaw::encode).collect();
    let input = codes[START..].iter().map(|code| mulaw::decode(*code)).collect();
    (input, up(&codes)[6 * START..].to_vec())
}

/// A tone's way down, before µ-law, likewise.
fn tone_down(hertz: u32) -> (Vec<i16>, Vec<i16>) {
    let input = tone(hertz, 24_000, 16_000.0, 3 * (START + BINS));
    let output = down_linear(&input)[START..].to_vec();
    (input[3 * START..].to_vec(), output)
}

/// What the two ways do to tones of the speech band: gain in dB, and delay in seconds between the sample that an input
/// is and the one that comes out in its place.
struct PassBand {
    gains: Vec<f64>,
    delays: Vec<f64>,
}

impl PassBand {
    fn measure(run: impl Fn(u32) -> (Vec<i16>, Vec<i16>), rate_in: u32, rate_out: u32) -> Self {
        let (mut gains, mut delays) = (Vec::new(), Vec::new());
        let mut expected = 0.0_f64;
        for hertz in speech_band() {
            let (input, output) = run(hertz);
            let (size_in, phase_in) = bin(&input, hertz, rate_in);
            let (size_out, phase_out) = bin(&output, hertz, rate_out);
            gains.push(decibels(size_out / size_in));
            // The phase tells the delay but for whole periods; the tone before, 50 Hz lower, tells those.
            let periods = (phase_in - phase_out) / TAU;
            let periods = periods + (expected * f64::from(hertz) - periods).round();
            expected = periods / f64::from(hertz);
            delays.push(expected);
        }
        Self { gains, delays }
    }

    fn assert_good(&self, name: &str, waiting: f64) {
        let extremes = |values: &[f64]| values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
        let (low, high) = extremes(&self.gains);
        let (early, late) = extremes(&self.delays);
        println!("{name}: gain {low:+.3} to {high:+.3} dB, delay {:.3} ms", (late + waiting) * 1e3);
        assert!(high - low <= 0.3, "{name}: ripple {:.2} dB", high - low);
        assert!(low >= -0.2 && high <= 0.2, "{name}: gain from {low:+.2} to {high:+.2} dB");
        assert!(early > 0.0 && late + waiting <= 2e-3, "{name}: delay from {early} to {late} s");
        assert!(late - early < 1e-5, "{name}: the delay depends on the frequency");
    }
}

#[test]
fn speech_passes_the_way_up_evenly_and_in_time() {
    PassBand::measure(tone_up, 8000, 48_000).assert_good("up", 0.0);
}

/// An output leaves when the last of its three inputs has come, two samples after the first.
#[test]
fn speech_passes_the_way_down_evenly_and_in_time() {
    PassBand::measure(tone_down, 24_000, 8000).assert_good("down", 2.0 / 24_000.0);
}

/// Zero-stuffing mirrors a tone at every multiple of 8 kHz. µ-law's own errors lie in other bins of the same band and
/// are mirrored likewise, so the tone's images show the filter alone.
#[test]
fn images_on_the_way_up_are_rejected_by_60_db() {
    let reference = 16_000.0;
    let mut worst = f64::MIN;
    for hertz in (50..4000).step_by(50) {
        let (_, output) = tone_up(hertz);
        let images = [8000 - hertz, 8000 + hertz, 16_000 - hertz, 16_000 + hertz, 24_000 - hertz];
        for image in images.into_iter().filter(|image| *image >= 4550) {
            let (size, _) = bin(&output, image, 48_000);
            worst = worst.max(decibels(size / reference));
        }
    }
    println!("up: images at {worst:.1} dB");
    assert!(worst <= -60.0, "an image at {worst:.1} dB");
}

/// A whole spectrum, for tones that do not hide behind the bins that are expected: nothing at all beyond 4.55 kHz.
#[test]
fn nothing_else_is_found_above_the_band_on_the_way_up() {
    for hertz in [1000, 3400] {
        let (_, output) = tone_up(hertz);
        for above in (4550..24_000).step_by(10) {
            let (size, _) = bin(&output, above, 48_000);
            assert!(decibels(size / 16_000.0) <= -60.0, "{hertz} Hz leaves something at {above} Hz");
        }
    }
}

#[test]
fn what_would_fold_back_on_the_way_down_is_rejected_by_60_db() {
    let mut worst = f64::MIN;
    for hertz in (4550..12_000).step_by(50) {
        let (_, output) = tone_down(hertz);
        let alias = (hertz % 8000).min(8000 - hertz % 8000);
        let (size, _) = bin(&output, alias, 8000);
        // A constant has no second half of its amplitude at a negative frequency.
        let size = if alias == 0 { size / 2.0 } else { size };
        worst = worst.max(decibels(size / 16_000.0));
    }
    println!("down: aliases at {worst:.1} dB");
    assert!(worst <= -60.0, "an alias at {worst:.1} dB");
}

/// The figures above are taken before µ-law, which then adds its own error: some 38 dB below any tone of speech's size.
#[test]
fn mulaw_and_not_the_filter_limits_the_way_down() {
    for hertz in [300, 1000, 3100] {
        let input = tone(hertz, 24_000, 10_000.0, 3 * (START + BINS));
        let clean = down_linear(&input);
        let codes = down(&bytes(&input));
        let (mut signal, mut noise) = (0.0, 0.0);
        for (clean, code) in clean.iter().zip(&codes) {
            signal += f64::from(*clean).powi(2);
            noise += (f64::from(*clean) - f64::from(mulaw::decode(*code))).powi(2);
        }
        let ratio = 10.0 * (signal / noise).log10();
        println!("µ-law at {hertz} Hz: {ratio:.1} dB");
        assert!((35.0..45.0).contains(&ratio), "{ratio:.1} dB at {hertz} Hz");
    }
}

/// The way up as its definition has it: for each input six sums over the window, exact, rounded once, saturated.
fn plain_up(codes: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; UP_TAPS - 1];
    samples.extend(codes.iter().map(|code| i64::from(mulaw::decode(*code))));
    let weight = |phase: usize, j: usize| {
        let (read, j) = if phase < 3 { (phase, j) } else { (5 - phase, UP_TAPS - 1 - j) };
        let [even, odd] = UP[read];
        let (mirrored, sign) = if j < UP_HALF { (j, 1) } else { (UP_TAPS - 1 - j, -1) };
        i64::from(even[mirrored]) + sign * i64::from(odd[mirrored])
    };
    let mut out = Vec::new();
    for window in samples.windows(UP_TAPS) {
        for phase in 0..6 {
            let sum: i64 = window.iter().enumerate().map(|(j, sample)| sample * weight(phase, j)).sum();
            out.push(((sum + (1 << 14)) >> 15).clamp(-32768, 32767) as i16);
        }
    }
    out
}

/// The way down by its definition, before µ-law.
fn plain_down(input: &[i16]) -> Vec<i16> {
    let mut samples = vec![0; DOWN_TAPS - 3];
    samples.extend(input.iter().map(|sample| i64::from(*sample)));
    let taps: Vec<i64> = DOWN_HALF.iter().chain(DOWN_HALF.iter().rev()).map(|tap| i64::from(*tap)).collect();
    let sum = |window: &[i64]| window.iter().zip(&taps).map(|(sample, tap)| sample * tap).sum::<i64>();
    let round = |sum: i64| ((sum + (1 << 14)) >> 15).clamp(-32768, 32767) as i16;
    samples.windows(DOWN_TAPS).step_by(3).map(|window| round(sum(window))).collect()
}

/// A square wave of the given half-period, at both ends of the scale.
fn square(low: i16, high: i16, half_period: usize, length: usize) -> Vec<i16> {
    (0..length).map(|n| if (n / half_period).is_multiple_of(2) { high } else { low }).collect()
}

/// Overshoot saturates: the exact sums stay on the right side of zero, a wrapped one would jump to the other end.
#[test]
fn full_scale_square_waves_do_not_wrap() {
    for half_period in [1, 2, 3, 4, 5, 7, 10, 16, 40, 160] {
        let codes: Vec<u8> = square(i16::MIN, i16::MAX, half_period, 800).into_iter().map(mulaw::encode).collect();
        let output = up(&codes);
        assert_eq!(output, plain_up(&codes), "up, half-period {half_period}");

        let input = square(i16::MIN, i16::MAX, half_period, 2400);
        let output = down_linear(&input);
        assert_eq!(output, plain_down(&input), "down, half-period {half_period}");
    }
    // Long plateaus overshoot, so this test would see a wrap.
    let codes: Vec<u8> = square(i16::MIN, i16::MAX, 40, 800).into_iter().map(mulaw::encode).collect();
    assert!(up(&codes).contains(&i16::MAX) && up(&codes).contains(&i16::MIN));
}

#[test]
fn an_idle_line_stays_quiet_both_ways() {
    let residue: Vec<i16> = (0..4800_i32).map(|n| (n.wrapping_mul(7919) / 13 % 3 - 1) as i16).collect();
    assert!(residue.contains(&1) && residue.contains(&-1));

    let encoded_residue: Vec<u8> = residue.iter().map(|sample| mulaw::encode(*sample)).collect();
    for codes in [vec![0xFF; 800], vec![0x7F; 800], encoded_residue] {
        assert!(up(&codes).iter().all(|sample| *sample == 0));
    }
    for samples in [vec![0; 4800], vec![1; 4800], vec![-1; 4800], residue] {
        let codes = down(&bytes(&samples));
        assert!(codes.iter().all(|code| mulaw::decode(*code) == 0));
    }
}

/// The smallest step of µ-law, from encoders that round a residue of -1 down, stays a direct component: no phase makes
/// a tone of it. Flickering between that step and zero, it stays about as small.
#[test]
fn the_smallest_step_makes_no_tone() {
    let steady = up(&[0x7E; 800]);
    assert!(steady[6 * UP_TAPS..].iter().all(|sample| *sample == -8));

    let flicker: Vec<u8> =
        (0..8000_u32).map(|n| if n.wrapping_mul(2_654_435_761) >> 31 == 0 { 0x7E } else { 0xFF }).collect();
    let peak = up(&flicker).iter().map(|sample| sample.unsigned_abs()).max();
    assert!(peak <= Some(12), "peak {peak:?}");
}

/// The gain at 0 Hz is that of the speech band, within its ripple, and the same in every phase.
#[test]
fn a_constant_comes_out_as_a_constant() {
    let assert_constant = |output: &[i16], level: i16| {
        let gained = output[0];
        assert!(output.iter().all(|sample| *sample == gained), "level {level}");
        assert!(
            i32::from(gained).abs_diff(i32::from(level)) <= u32::from(level.unsigned_abs()) / 64 + 1,
            "{level}: {gained}"
        );
    };
    for code in 0..=255 {
        assert_constant(&up(&[code; 64])[6 * UP_TAPS..], mulaw::decode(code));
    }
    for level in [i16::MIN, -12_345, -1, 0, 1, 77, i16::MAX] {
        assert_constant(&down_linear(&vec![level; 300])[DOWN_TAPS / 3..], level);
    }
}

#[test]
fn a_frame_becomes_960_samples_and_480_samples_become_a_frame() {
    let mut out = Vec::new();
    Upsampler::new().push(&[0xFF; 160], &mut out);
    assert_eq!(out.len(), 960 * 2);
    let mut out = Vec::new();
    Downsampler::new().push(&[0; 480 * 2], &mut out);
    assert_eq!(out.len(), 160);
}

#[test]
fn a_buffer_with_room_is_not_reallocated() {
    let mut out = Vec::with_capacity(960 * 2);
    let place = out.as_ptr();
    Upsampler::new().push(&[0x12; 160], &mut out);
    assert_eq!((out.as_ptr(), out.capacity()), (place, 960 * 2));
}

#[test]
fn finishing_pushes_out_the_tail_and_starts_afresh() {
    // A click at the very end is heard whole: all of the filter's answer to it comes out.
    let mut downsampler = Downsampler::new();
    let mut out = Vec::new();
    downsampler.push(&bytes(&[0, 0, 30_000]), &mut out);
    downsampler.finish(&mut out);
    let sum: i32 = out.iter().map(|code| i32::from(mulaw::decode(*code))).sum();
    assert!((9_000..11_000).contains(&sum), "a third of the click's area, not {sum}");

    let mut fresh = Vec::new();
    let mut used = Vec::new();
    Downsampler::new().push(&bytes(&[1000; 99]), &mut fresh);
    downsampler.push(&bytes(&[1000; 99]), &mut used);
    assert_eq!(used, fresh);
}

#[test]
fn finishing_what_never_began_gives_nothing() {
    let mut downsampler = Downsampler::new();
    let mut out = Vec::new();
    downsampler.finish(&mut out);
    downsampler.push(&[], &mut out);
    downsampler.finish(&mut out);
    assert!(out.is_empty());
}

#[test]
fn half_a_sample_at_the_end_of_a_reply_does_not_shift_the_next() {
    let reply = bytes(&tone(700, 24_000, 9000.0, 480));
    let mut downsampler = Downsampler::new();
    downsampler.push(&[0x55], &mut Vec::new());
    downsampler.finish(&mut Vec::new());
    let mut out = Vec::new();
    downsampler.push(&reply, &mut out);
    downsampler.finish(&mut out);
    assert_eq!(out, down(&reply));

    downsampler.push(&reply[..333], &mut Vec::new());
    downsampler.reset();
    let mut out = Vec::new();
    downsampler.push(&reply, &mut out);
    downsampler.finish(&mut out);
    assert_eq!(out, down(&reply));
}

#[test]
fn a_reset_upsampler_has_no_past() {
    let mut upsampler = Upsampler::new();
    upsampler.push(&[0x80; 50], &mut Vec::new());
    upsampler.reset();
    let mut out = Vec::new();
    upsampler.push(&[0xFF; 50], &mut out);
    assert!(out.iter().all(|byte| *byte == 0));
}

fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let sum = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    sum(a, b) / (sum(a, a) * sum(b, b)).sqrt()
}

/// Every second sample of the way up is audio at 24 kHz, free of images, so the caller's voice can go round. One sample
/// of silence before it brings the delay of both filters to 64 of 24 kHz, and two make it 22 whole samples of 8 kHz.
#[test]
fn speech_goes_up_and_down_again_and_stays_itself() {
    let codes = fixture("caller_taro_8k.ulaw");
    let spoken: Vec<i16> = codes.iter().map(|code| mulaw::decode(*code)).collect();
    let mut at_24_khz = vec![0; 3];
    at_24_khz.extend(up(&codes).iter().skip(1).step_by(2));
    let heard: Vec<i16> = down(&bytes(&at_24_khz)).iter().map(|code| mulaw::decode(*code)).collect();

    let lag = (0..60).max_by(|a, b| correlation(&spoken, &heard[*a..]).total_cmp(&correlation(&spoken, &heard[*b..])));
    let lag = lag.unwrap();
    let alike = correlation(&spoken, &heard[lag..]);
    println!("round trip: lag {lag}, correlation {alike:.5}");
    assert_eq!(lag, 22);
    assert!(alike > 0.995, "correlation {alike}");
}

#[test]
fn the_agents_reply_keeps_its_length_and_loudness() {
    let reply = fixture("agent_reply_24k.s16le");
    let codes = down(&reply);
    assert_eq!(codes.len(), reply.len() / 6 + 23, "the reply and the filter's tail");
    let rms = |samples: &[i16]| {
        (samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    };
    let heard: Vec<i16> = codes.iter().map(|code| mulaw::decode(*code)).collect();
    let change = decibels(rms(&heard) / rms(&linear16(&reply)));
    // What lies above 3.4 kHz is lost on any telephone.
    assert!((-1.0..0.1).contains(&change), "{change:+.2} dB");
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Audio of loud bytes, and the places to cut it.
fn cut_audio() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let audio = prop::collection::vec(any::<u8>(), 0..4000);
    (audio, prop::collection::vec(0..400_usize, 0..40))
}

fn pieces<'a>(mut audio: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes {
        let (piece, rest) = audio.split_at((*size).min(audio.len()));
        pieces.push(piece);
        audio = rest;
    }
    pieces.push(audio);
    pieces
}

proptest! {
    #[test]
    fn the_way_up_is_its_definition_however_the_audio_is_cut((codes, sizes) in cut_audio()) {
        let mut upsampler = Upsampler::new();
        let mut out = Vec::new();
        for piece in pieces(&codes, &sizes) {
            upsampler.push(piece, &mut out);
        }
        prop_assert_eq!(linear16(&out), plain_up(&codes));
    }

    #[test]
    fn the_way_down_is_its_definition_however_the_audio_is_cut((audio, sizes) in cut_audio()) {
        let mut downsampler = Downsampler::new();
        let mut out = Vec::new();
        for piece in pieces(&audio, &sizes) {
            downsampler.push(piece, &mut out);
        }
        let expected: Vec<u8> = plain_down(&linear16(audio.as_chunks::<2>().0.as_flattened()))
            .into_iter()
            .map(mulaw::encode)
            .collect();
        prop_assert_eq!(&out, &expected);

        downsampler.finish(&mut out);
        prop_assert_eq!(out, down(&audio));
    }
}
