//! What is said in a call, for whoever reads along while it lasts.
//!
//! Kept in memory only and bounded: the last lines of a call, and of each line its beginning. It goes with the call, and
//! never into a log or the events that every console is sent.

use crate::bridge::Speaker;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Lines that whoever comes later is shown first.
const KEPT: usize = 50;
/// Characters of one line.
const LONGEST: usize = 500;

/// One thing that was said.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Counts up within a call, from 1.
    pub n: u64,
    /// By whom.
    pub who: Speaker,
    /// What.
    pub text: String,
    /// When it was known.
    pub at: Timestamp,
}

/// What is said in one call.
#[derive(Default)]
pub(super) struct Transcript {
    said: Mutex<Said>,
    /// Wakes readers.
    news: watch::Sender<()>,
}

#[derive(Default)]
struct Said {
    /// The latest, oldest first.
    lines: VecDeque<Arc<Line>>,
    /// The number of the latest.
    latest: u64,
    is_over: bool,
}

impl Transcript {
    pub(super) fn add(&self, who: Speaker, mut text: String, at: Timestamp) {
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.latest += 1;
        let line = Arc::new(Line { n: said.latest, who, text, at });
        if said.lines.len() == KEPT {
            said.lines.pop_front();
        }
        said.lines.push_back(line);
        drop(said);
        self.news.send_replace(());
    }

    /// The call has ended: who reads along reads to the end, and nobody else any more.
    pub(super) fn end(&self) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.news.send_replace(());
    }

    /// A reader of what comes after line `seen`, as far as it is still there; 0: of all.
    pub(super) fn read(self: &Arc<Self>, seen: u64) -> Reader {
        Reader { transcript: Arc::clone(self), news: self.news.subscribe(), seen }
    }
}

/// One reader's place in a transcript.
pub struct Reader {
    transcript: Arc<Transcript>,
    news: watch::Receiver<()>,
    /// The number of the line read last.
    seen: u64,
}

impl Reader {
    /// The next line; none: the call has ended. Safe to drop and call again. A reader who is too slow misses lines.
    pub async fn next(&mut self) -> Option<Arc<Line>> {
        loop {
            // Marked as seen before looking, so that what comes while we look wakes us.
            self.news.borrow_and_update();
            {
                let said = self.transcript.said.lock().unwrap_or_else(PoisonError::into_inner);
                // A place that this call never had is one of another call's.
                let seen = if self.seen > said.latest { 0 } else { self.seen };
                if let Some(line) = said.lines.iter().find(|line| line.n > seen) {
                    self.seen = line.n;
                    return Some(Arc::clone(line));
                }
                if said.is_over {
                    return None;
                }
            }
            if self.news.changed().await.is_err() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(transcript: &Transcript, text: &str) {
        transcript.add(Speaker::Caller, text.to_owned(), Timestamp::UNIX_EPOCH);
    }

    #[tokio::test]
    async fn who_comes_later_reads_the_last_lines_and_then_what_comes() {
        let transcript = Arc::new(Transcript::default());
        for n in 1..=KEPT + 7 {
            add(&transcript, &n.to_string());
        }
        let mut reader = transcript.read(0);
        for n in 8..=KEPT + 7 {
            let line = reader.next().await.expect("a line");
            assert_eq!((line.n, line.text.as_str()), (n as u64, n.to_string().as_str()));
        }
        {
            let mut next = std::pin::pin!(reader.next());
            assert!(futures_util::poll!(next.as_mut()).is_pending());
            add(&transcript, "news");
            assert_eq!(next.await.expect("a line").text, "news");
        }
        let mut back = transcript.read(KEPT as u64 + 7);
        assert_eq!(back.next().await.expect("a line").text, "news", "only what was missed");
        let mut stranger = transcript.read(9_999);
        assert_eq!(stranger.next().await.expect("a line").n, 9, "a place of another call's");

        add(&transcript, "Goodbye!");
        transcript.end();
        assert_eq!(reader.next().await.expect("to the end").text, "Goodbye!");
        assert!(reader.next().await.is_none());
        assert!(reader.next().await.is_none(), "and it stays over");
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut_at_a_character() {
        let transcript = Arc::new(Transcript::default());
        add(&transcript, &"ä".repeat(LONGEST));
        add(&transcript, &"ä".repeat(LONGEST * 20));
        let mut reader = transcript.read(0);
        assert_eq!(reader.next().await.expect("a line").text, "ä".repeat(LONGEST));
        assert_eq!(reader.next().await.expect("a line").text, "ä".repeat(LONGEST) + "…");
    }
}
