//! Readers of what strangers send, given what nobody would send: kept inputs, and mutations of them.
//!
//! No compiler but the stable one is needed, so nothing tells which lines an input reaches. Instead a target tells what
//! *kind* of outcome an input had, and an input of a new kind is mutated further. What is read is used: written out again,
//! read again, compared. `FUZZ_SECONDS=600 cargo test --locked --test it fuzz::` is the long mode; with `FUZZ_KEEP=1` inputs
//! of a new kind go into `tests/corpus`, and one that fails always does. `FUZZ_SEED` repeats a run.

mod mutate;
mod targets;

use crate::random::{Random, number, seed};
use mutate::mutated;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Far more than any input of this size should take, on a machine that does much else. (The first telephone numbers of an
/// unoptimised build take seconds: tables and patterns are made for them.)
const SLOW: Duration = Duration::from_secs(30);
/// Inputs that are mutated: the kept ones and the first so many of a new kind.
const MOST_INPUTS: usize = 4_000;

/// What is fuzzed.
struct Target<'a> {
    /// The folder of its inputs.
    name: &'static str,
    /// What its inputs are made of.
    words: &'a [&'a str],
    /// The longest input.
    most_bytes: usize,
    /// Reads an input, uses what came of it, and tells what kind of outcome it was.
    run: &'a mut dyn FnMut(&[u8]) -> String,
}

/// Runs a target for `FUZZ_SECONDS`.
fn fuzz(target: Target<'_>) {
    let Target { name, words, most_bytes, run } = target;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let kept = kept(&folder);
    assert!(!kept.is_empty(), "no inputs in {}", folder.display());
    let seconds = number("FUZZ_SECONDS").unwrap_or(2);
    let seed = seed("FUZZ_SEED");
    println!("{name}: FUZZ_SEED={seed}");
    let is_kept = std::env::var_os("FUZZ_KEEP").is_some();

    let mut random = Random::new(seed);
    let mut kinds = HashSet::new();
    let mut inputs: Vec<Vec<u8>> = Vec::new();
    for (file, input) in kept {
        let outcome = attempt(run, &input).unwrap_or_else(|| panic!("{} fails", file.display()));
        kinds.insert(fingerprint(&outcome));
        inputs.push(input);
    }
    let (begun, mut runs, mut fresh) = (Instant::now(), 0_u64, 0_u64);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let mut input = mutated(&inputs, words, &mut random);
        input.truncate(most_bytes);
        runs += 1;
        let Some(outcome) = attempt(run, &input) else {
            let file = keep(&folder, "failed", &input);
            panic!("an input fails; it is kept as {}", file.display());
        };
        if kinds.insert(fingerprint(&outcome)) && inputs.len() < MOST_INPUTS {
            fresh += 1;
            if is_kept {
                keep(&folder, "found", &input);
            }
            inputs.push(input);
        }
    }
    println!("{name}: {runs} runs, {} kinds of outcome, {fresh} of them new", kinds.len());
    assert!(runs > 0);
}

/// What came of an input; none: it panicked.
fn attempt(run: &mut dyn FnMut(&[u8]) -> String, input: &[u8]) -> Option<String> {
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(input))).ok()?;
    if begun.elapsed() > SLOW {
        eprintln!("this took {:?}", begun.elapsed());
        return None;
    }
    Some(outcome)
}

fn kept(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let files = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    files.map(|path| (path.clone(), std::fs::read(&path).expect("an input can be read"))).collect()
}

fn keep(folder: &Path, why: &str, input: &[u8]) -> PathBuf {
    let file = folder.join(format!("{why}-{:016x}", fingerprint(input)));
    std::fs::write(&file, input).expect("an input can be kept");
    file
}

fn fingerprint(what: impl AsRef<[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.as_ref().hash(&mut hasher);
    hasher.finish()
}
