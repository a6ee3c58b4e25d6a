//! What the caller has been told and has heard: the order as it was read back, and its number.
//!
//! The agent is never refused anything for it; it is asked to say once more what was not heard.

use super::reply::Interruption;
use std::time::Duration;

/// A caller who says yes this long before the end of a read-back has heard it.
const READ_BACK_SLACK: Duration = Duration::from_secs(1);
/// The last digit of a number stands at the very end.
const NUMBER_SLACK: Duration = Duration::from_millis(500);

/// What one caller was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    read_back: Option<ReadBack>,
    number: Option<Number>,
}

#[derive(Debug)]
struct ReadBack {
    /// The latest reply when the tool answered: the next one reads it out.
    after: u32,
    cut_off: bool,
}

#[derive(Debug)]
struct Number {
    digits: String,
    spoken: String,
    /// The reply that says it.
    told_in: u32,
    /// The agent's text for it has come, and said the number.
    texted: bool,
    cut_off: bool,
    /// It was said again for our sake; once is enough.
    again: bool,
}

impl Told {
    /// A tool has answered what the next reply, the one after `generation`, reads back.
    pub(super) fn reads_back(&mut self, generation: u32) {
        self.read_back = Some(ReadBack { after: generation, cut_off: false });
    }

    /// An order is placed: the next reply tells its number, unless a text shows that another one does.
    pub(super) fn ordered(&mut self, number: &str, spoken: &str, generation: u32) {
        if self.number.as_ref().is_none_or(|told| told.digits != number) {
            let (digits, spoken) = (number.to_owned(), spoken.to_owned());
            let told_in = generation + 1;
            self.number = Some(Number { digits, spoken, told_in, texted: false, cut_off: false, again: false });
        }
    }

    /// The agent's text in the reply `generation`, or, while none is `speaking`, for the next – or, late, for that one.
    pub(super) fn said(&mut self, text: &str, generation: u32, speaking: bool) {
        let Some(number) = &mut self.number else { return };
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let late = !speaking && number.told_in == generation && !number.cut_off;
        if digits.contains(&number.digits) && !late {
            number.told_in = if speaking { generation } else { generation + 1 };
            number.texted = true;
            number.cut_off = false;
        }
    }

    /// The caller spoke into this reply.
    pub(super) fn interrupted(&mut self, interruption: &Interruption, generation: u32) {
        if let Some(read_back) = &mut self.read_back
            && generation == read_back.after + 1
        {
            read_back.cut_off |= interruption.lost_more_than(READ_BACK_SLACK);
        }
        if let Some(number) = &mut self.number
            && generation == number.told_in
        {
            number.cut_off |= interruption.lost_more_than(NUMBER_SLACK);
        }
    }

    /// Whether what was read back last was heard; true when nothing was.
    pub(super) fn heard(&self) -> bool {
        self.read_back.as_ref().is_none_or(|read_back| !read_back.cut_off)
    }

    /// The order number, if it must be said once more before the call ends. `generation`: of the latest reply.
    pub(super) fn number_again(&mut self, generation: u32) -> Option<&str> {
        let number = self.number.as_mut().filter(|number| !number.again)?;
        // Text comes before its sound: what has been written will be said.
        let unsaid = generation < number.told_in && !number.texted;
        (number.cut_off || unsaid).then(|| {
            number.again = true;
            number.spoken.as_str()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(unheard_ms: u64) -> Interruption {
        Interruption { unheard: Duration::from_millis(unheard_ms), heard_permille: 500, open: false }
    }

    #[test]
    fn a_read_back_counts_as_heard_unless_much_of_it_was_cut_off() {
        let mut told = Told::default();
        assert!(told.heard());
        told.reads_back(3);
        told.interrupted(&cut(4_000), 3);
        assert!(told.heard(), "that was the reply before");
        told.interrupted(&cut(900), 4);
        assert!(told.heard(), "an early yes");
        told.interrupted(&cut(1_100), 4);
        assert!(!told.heard());
        told.interrupted(&cut(0), 5);
        assert!(!told.heard(), "what came afterwards was something else");
        told.reads_back(5);
        assert!(told.heard(), "it is read back once more");
        told.interrupted(&Interruption { open: true, ..cut(0) }, 6);
        assert!(!told.heard(), "not all of it had been sent");
    }

    #[test]
    fn a_number_that_was_cut_off_is_said_again_once() {
        let mut told = Told::default();
        assert_eq!(told.number_again(9), None, "there is none");
        told.ordered("4782", "4, 7, 8, 2", 3);
        told.said("Your number is 4, 7, 8, 2.", 3, false);
        told.said("Your number is 4, 7, 8, 2.", 4, false);
        assert_eq!(told.number_again(4), None);
        told.interrupted(&cut(2_000), 4);
        assert_eq!(told.number_again(5), Some("4, 7, 8, 2"));
        assert_eq!(told.number_again(5), None);
    }

    #[test]
    fn an_agent_that_says_it_again_need_not_be_asked_and_one_that_never_said_it_must() {
        let mut told = Told::default();
        told.ordered("4782", "4, 7, 8, 2", 3);
        told.interrupted(&cut(2_000), 4);
        told.said("As I said, 4 7 8 2.", 6, true);
        assert_eq!(told.number_again(6), None);

        let mut told = Told::default();
        told.ordered("4782", "4, 7, 8, 2", 3);
        told.ordered("4782", "4, 7, 8, 2", 5);
        assert_eq!(told.number_again(3), Some("4, 7, 8, 2"));

        let mut told = Told::default();
        told.ordered("4782", "4, 7, 8, 2", 3);
        told.said("Your number is 4, 7, 8, 2. Goodbye!", 3, false);
        assert_eq!(told.number_again(3), None, "its sound is on its way");
        told.interrupted(&cut(2_000), 4);
        assert_eq!(told.number_again(4), Some("4, 7, 8, 2"));
    }
}
