//! How the numbers in `taps.rs` came about; compiled for the tests only, which hold the tables to it.
//!
//! Both filters are equiripple low-passes found by the Remez exchange of Parks and McClellan ("Chebyshev Approximation
//! for Nonrecursive Digital Filters with Linear Phase", 1972), here for an even number of symmetric taps: the amplitude
//! is `cos(πf) · P(cos 2πf)`, so dividing the wanted response by `cos(πf)`, and multiplying its weight by it, leaves a
//! polynomial P to approximate. P is carried as its values at the extremal frequencies and evaluated by the barycentric
//! formula of Lagrange; sampling the finished amplitude at multiples of 1/taps gives the taps.
//!
//! The taps are then brought to Q15 such that every phase adds up to the same number, the gain that the design has at
//! 0 Hz. A constant input therefore comes out as a constant; otherwise rounding alone would leave tones at multiples of
//! 8 kHz on a line with a direct component.
//!
//! `cargo test --lib audio::resample::design` derives both tables again. When one differs from what is committed, the
//! failure prints the right one as source.

use std::f64::consts::PI;

use super::taps;

/// Where the pass band of both filters ends, in Hz: the upper edge of telephone speech.
const PASS_HZ: f64 = 3400.0;

/// Where the stop band of both filters starts, in Hz. Half the telephone's rate mirrors it to 3450 Hz, so what lies below
/// that has its images, and what folds back below that has its origin, in the stop band.
const STOP_HZ: f64 = 4550.0;

/// A low-pass to be designed.
struct LowPass {
    taps: usize,
    rate_hz: f64,
    /// How many times smaller the ripple of the stop band is to be than that of the pass band.
    stop_weight: f64,
}

/// Up: twenty taps in each of six phases.
const UP: LowPass = LowPass { taps: 6 * taps::UP_TAPS, rate_hz: 48_000.0, stop_weight: 50.0 };

/// Down: 72 taps, of which every third output is kept.
const DOWN: LowPass = LowPass { taps: taps::DOWN_TAPS, rate_hz: 24_000.0, stop_weight: 60.0 };

/// A frequency of the dense grid on which the error is watched, with the wanted value of P and its weight there.
struct Point {
    frequency: f64,
    wanted: f64,
    weight: f64,
    band: usize,
}

impl Point {
    fn x(&self) -> f64 {
        (2.0 * PI * self.frequency).cos()
    }
}

/// A polynomial by its values `y` at the nodes `x`.
struct Interpolation {
    x: Vec<f64>,
    y: Vec<f64>,
    barycentric: Vec<f64>,
}

impl Interpolation {
    fn at(&self, x: f64) -> f64 {
        let (mut above, mut below) = (0.0, 0.0);
        for ((node, value), weight) in self.x.iter().zip(&self.y).zip(&self.barycentric) {
            let distance = x - node;
            if distance == 0.0 {
                return *value;
            }
            above += weight / distance * value;
            below += weight / distance;
        }
        above / below
    }
}

fn equiripple(filter: &LowPass) -> Vec<f64> {
    let grid = grid(filter);
    let extremals = filter.taps / 2 + 1;
    let mut chosen: Vec<usize> = (0..extremals).map(|i| i * (grid.len() - 1) / (extremals - 1)).collect();
    for _ in 0..100 {
        let polynomial = alternation(&grid, &chosen);
        let error: Vec<f64> = grid.iter().map(|p| p.weight * (p.wanted - polynomial.at(p.x()))).collect();
        let next = extrema(&grid, &error, extremals);
        if next == chosen {
            return impulse_response(&polynomial, filter.taps);
        }
        chosen = next;
    }
    panic!("the exchange did not settle");
}

fn grid(filter: &LowPass) -> Vec<Point> {
    let (pass, stop) = (PASS_HZ / filter.rate_hz, STOP_HZ / filter.rate_hz);
    let bands = [(0.0, pass, 1.0, 1.0), (stop, 0.5, 0.0, filter.stop_weight)];
    let width: f64 = bands.iter().map(|(low, high, ..)| high - low).sum();
    let mut points = Vec::new();
    for (band, (low, high, wanted, weight)) in bands.into_iter().enumerate() {
        let steps = ((high - low) / width * (10 * filter.taps) as f64).ceil();
        for step in 0..=steps as usize {
            let frequency = low + (high - low) * step as f64 / steps;
            // At half the rate the amplitude is zero whatever P is.
            if frequency < 0.4999 {
                let q = (PI * frequency).cos();
                points.push(Point { frequency, wanted: wanted / q, weight: weight * q, band });
            }
        }
    }
    points
}

/// The polynomial whose weighted error has the same size and alternating signs at the chosen points.
fn alternation(grid: &[Point], chosen: &[usize]) -> Interpolation {
    let points: Vec<&Point> = chosen.iter().map(|&i| &grid[i]).collect();
    let x: Vec<f64> = points.iter().map(|p| p.x()).collect();
    let barycentric: Vec<f64> =
        x.iter().map(|a| 1.0 / x.iter().filter(|b| *b != a).map(|b| 2.0 * (a - b)).product::<f64>()).collect();
    let signs = [1.0, -1.0].into_iter().cycle();
    let above: f64 = points.iter().zip(&barycentric).map(|(p, b)| b * p.wanted).sum();
    let below: f64 = points.iter().zip(&barycentric).zip(signs.clone()).map(|((p, b), s)| b * s / p.weight).sum();
    let ripple = above / below;
    let y = points.iter().zip(signs).map(|(p, sign)| p.wanted - sign * ripple / p.weight).collect();
    Interpolation { x, y, barycentric }
}

/// The `count` largest extrema of the error with alternating signs.
fn extrema(grid: &[Point], error: &[f64], count: usize) -> Vec<usize> {
    let size_beside = |i: usize, j: Option<usize>| match j {
        Some(j) if j < grid.len() && grid[j].band == grid[i].band && error[j] * error[i] > 0.0 => error[j].abs(),
        _ => 0.0,
    };
    let mut found: Vec<usize> = Vec::new();
    for i in 0..grid.len() {
        let size = error[i].abs();
        if size < size_beside(i, i.checked_sub(1)) || size <= size_beside(i, Some(i + 1)) {
            continue;
        }
        match found.last_mut() {
            Some(last) if error[*last] * error[i] > 0.0 => {
                if size > error[*last].abs() {
                    *last = i;
                }
            }
            _ => found.push(i),
        }
    }
    while found.len() > count {
        let (first, last) = (found[0], found[found.len() - 1]);
        if error[first].abs() < error[last].abs() {
            found.remove(0);
        } else {
            found.pop();
        }
    }
    assert_eq!(found.len(), count, "too few extrema");
    found
}

fn impulse_response(polynomial: &Interpolation, taps: usize) -> Vec<f64> {
    let n = taps as f64;
    let amplitudes: Vec<f64> =
        (0..taps / 2).map(|k| (PI * k as f64 / n).cos() * polynomial.at((2.0 * PI * k as f64 / n).cos())).collect();
    let tap = |t: usize| {
        let from_centre = t as f64 - (n - 1.0) / 2.0;
        let sum: f64 = (1..taps / 2).map(|k| amplitudes[k] * (2.0 * PI * k as f64 / n * from_centre).cos()).sum();
        (amplitudes[0] + 2.0 * sum) / n
    };
    (0..taps).map(tap).collect()
}

/// The gain at 0 Hz, as the sum that integer taps shall have when one is `unit`.
fn gain(h: &[f64], unit: i32) -> i32 {
    (h.iter().sum::<f64>() * f64::from(unit)).round() as i32
}

/// Scales the taps to the given sum and rounds them to integers that keep it exactly: what rounding leaves over goes to
/// the taps that it moved furthest.
fn quantise<const N: usize>(taps: [f64; N], sum: i32) -> [i16; N] {
    let scale = f64::from(sum) / taps.iter().sum::<f64>();
    let exact = taps.map(|tap| tap * scale);
    let mut rounded = exact.map(|tap| tap.round() as i32);
    loop {
        let missing = sum - rounded.iter().sum::<i32>();
        if missing == 0 {
            return rounded.map(|tap| i16::try_from(tap).expect("a tap below one"));
        }
        let moved = |i: &usize| (exact[*i] - f64::from(rounded[*i])) * f64::from(missing.signum());
        let furthest = (0..N).max_by(|a, b| moved(a).total_cmp(&moved(b))).expect("there are taps");
        rounded[furthest] += missing.signum();
    }
}

/// The even and the odd half of phase `p`, whose weight for the j-th sample of the window, oldest first, is
/// `h[6 (19 - j) + p]`; `h` is symmetric, so that is `h[6j + 5 - p]`. Only the even half answers a constant input.
fn up() -> [[[i16; taps::UP_HALF]; 2]; 3] {
    let h = equiripple(&UP);
    let sum = gain(&h, 1 << 14);
    std::array::from_fn(|phase| {
        let weights: [f64; taps::UP_TAPS] = std::array::from_fn(|j| h[6 * j + 5 - phase]);
        // Both outputs of a pair of phases take the even half once, so its sum is half of theirs.
        let scale = f64::from(2 * sum) / weights.iter().sum::<f64>();
        let mirrored = |j: usize| weights[taps::UP_TAPS - 1 - j];
        let even = std::array::from_fn(|j| (weights[j] + mirrored(j)) / 2.0);
        let odd = std::array::from_fn(|j| ((weights[j] - mirrored(j)) / 2.0 * scale).round() as i16);
        [quantise(even, sum), odd]
    })
}

fn down() -> [i16; taps::DOWN_TAPS / 2] {
    let h = equiripple(&DOWN);
    quantise(std::array::from_fn(|j| h[j]), gain(&h, 1 << 14))
}

#[test]
fn the_table_of_the_way_up_is_what_the_design_gives() {
    let derived = up();
    assert!(derived == taps::UP, "the design gives\n{derived:?}");
}

#[test]
fn the_table_of_the_way_down_is_what_the_design_gives() {
    let derived = down();
    assert!(derived == taps::DOWN_HALF, "the design gives\n{derived:?}");
}
