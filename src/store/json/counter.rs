//! The `n` of order ids: never given twice, whatever is deleted, unreadable or cut off.
//!
//! One small file a shop holds two numbers: *used*, the highest `n` given, written in place at every order without
//! waiting for the disk (it survives the process, not a power cut), and *reserved*, which is on disk before any `n` up
//! to it is given. After a clean look at the folder the count goes on from the highest number seen or used; when files
//! were deleted or could not be read, their `n` is unknown and the count goes on from *reserved*.

use super::super::numbers::IMPLAUSIBLE;
use super::super::{StoreError, io_error};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

const BLOCK: u64 = 128;

pub(super) struct Counter {
    file: File,
    used: u64,
    reserved: u64,
}

impl Counter {
    /// `seen` are the `n` of the readable orders; `lost`: there may have been others.
    pub(super) fn open(
        dir: &Path,
        shop_id: &str,
        seen: impl Iterator<Item = u64>,
        lost: bool,
    ) -> Result<Self, StoreError> {
        let path = dir.join(format!("counter-{shop_id}"));
        let action = || format!("open the order counter {}", path.display());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error(action()))?;
        let mut text = vec![0; 64];
        let length = file.read_at(&mut text, 0).map_err(io_error(action()))?;
        text.truncate(length);
        let text = String::from_utf8_lossy(&text);
        let (used, reserved) = numbers(&text);
        let used = seen.map(plausible).max().unwrap_or(0).max(used);
        let mut counter = Self { file, used, reserved };
        if lost {
            counter.used = used.max(reserved);
            // The next start may not know any more that something was lost.
            counter.write(counter.used, reserved)?;
            counter.file.sync_data().map_err(io_error(action()))?;
        }
        Ok(counter)
    }

    /// For who only looks: the count as it is, in a file that is not touched.
    pub(super) fn look(dir: &Path, shop_id: &str, seen: impl Iterator<Item = u64>) -> Result<Self, StoreError> {
        let seen = seen.map(plausible).max().unwrap_or(0);
        let path = dir.join(format!("counter-{shop_id}"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let (used, reserved) = numbers(&text);
        let file = File::open(dir).map_err(io_error(format!("open the folder {}", dir.display())))?;
        Ok(Self { file, used: used.max(seen), reserved })
    }

    /// The highest `n` given.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Counts on from `n`, if it is higher.
    pub(super) fn raise(&mut self, n: u64) -> Result<(), StoreError> {
        let n = plausible(n);
        if n > self.used {
            self.write(n, self.reserved.max(n))?;
            self.file.sync_data().map_err(io_error("reserve order ids"))?;
            (self.used, self.reserved) = (n, self.reserved.max(n));
        }
        Ok(())
    }

    /// The next `n`, on disk as reserved before it is given.
    pub(super) fn next(&mut self) -> Result<u64, StoreError> {
        let n = self.used + 1;
        let reserved = if n > self.reserved { n + BLOCK } else { self.reserved };
        self.write(n, reserved)?;
        if reserved != self.reserved {
            self.file.sync_data().map_err(io_error("reserve order ids"))?;
            self.reserved = reserved;
        }
        self.used = n;
        Ok(n)
    }

    fn write(&self, used: u64, reserved: u64) -> Result<(), StoreError> {
        let line = format!("{used:020} {reserved:020}\n");
        self.file.write_all_at(line.as_bytes(), 0).map_err(io_error("count an order"))
    }
}

fn numbers(text: &str) -> (u64, u64) {
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or(0)).map(plausible);
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn plausible(n: u64) -> u64 {
    if n < IMPLAUSIBLE { n } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(dir: &Path, seen: u64, lost: bool) -> Counter {
        Counter::open(dir, "main", [seen].into_iter(), lost).expect("a temporary folder")
    }

    #[test]
    fn goes_on_after_a_restart_even_when_the_newest_order_is_deleted() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut first = counter(dir.path(), 0, false);
        assert_eq!((first.next().expect("n"), first.next().expect("n")), (1, 2));
        assert_eq!(counter(dir.path(), 0, false).next().expect("n"), 3);
    }

    #[test]
    fn skips_what_an_unreadable_order_may_have_had() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(counter(dir.path(), 0, false).next().expect("n"), 1);
        assert_eq!(counter(dir.path(), 1, true).next().expect("n"), 2 + BLOCK);
    }

    #[test]
    fn remembers_that_something_was_lost_and_goes_on_from_there_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(counter(dir.path(), 0, false).next().expect("n"), 1);
        drop(counter(dir.path(), 1, true));
        for n in 2..5 {
            assert_eq!(counter(dir.path(), 1, false).next().expect("n"), n + BLOCK);
        }
    }

    #[test]
    fn a_number_that_no_shop_reaches_does_not_end_the_count() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for absurd in [u64::MAX, u64::MAX - 1, IMPLAUSIBLE] {
            let seen = [7, absurd, 3].into_iter();
            let mut counter = Counter::open(dir.path(), "main", seen, false).expect("a temporary folder");
            assert_eq!(counter.next().expect("n"), 8, "{absurd}");
            std::fs::write(dir.path().join("counter-main"), format!("{absurd} {absurd}")).expect("writable");
        }
    }

    #[test]
    fn trusts_the_orders_when_its_file_is_lost_or_garbage() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(counter(dir.path(), 41, false).next().expect("n"), 42);
        std::fs::write(dir.path().join("counter-main"), "\u{0}garbage").expect("writable");
        assert_eq!(counter(dir.path(), 41, false).next().expect("n"), 42);
    }
}
