//! Tools that take long, and requests that are taken back.

use super::*;

#[test]
fn a_slow_tool_is_told_of_once_when_the_line_is_silent() {
    let mut call = Call::live();
    call.speech(4_000);
    call.audio_done();
    call.requests(&["f1", "f2"]);
    assert_eq!(injected(&call.wait(ms(3_900))), [""; 0], "the agent is still heard");
    call.mark_returns("reply-1");
    assert_eq!(injected(&call.wait(ms(200))), ["One moment."]);
    assert_eq!(injected(&call.wait(ms(2_000))), [""; 0]);
    call.answers("f1", None);
    assert_eq!(injected(&call.wait(ms(500))), [""; 0], "once for all that was asked together");
}

#[test]
fn what_the_agent_takes_back_is_stopped_and_never_run_again() {
    let mut call = Call::live();
    call.requests(&["f1", "f2", "f3"]);
    call.answers("f2", None);
    assert_eq!(call.cancels("f1"), [Output::CancelTools(vec!["f1".to_owned()])]);
    assert_eq!(call.cancels("f2"), [Output::CancelTools(vec!["f2".to_owned()])], "answered, and taken back");
    assert_eq!(call.cancels("f1"), [], "once");
    assert_eq!(call.cancels("never asked"), []);
    assert_eq!(call.answers("f1", None), []);
    assert_eq!(call.requests(&["f1", "f2"]), [], "it does not come back");
    assert_eq!(responses(&call.answers("f3", None)).len(), 1);
}

#[test]
fn an_order_that_was_placed_although_it_was_taken_back_is_told() {
    let mut call = Call::live();
    call.requests(&["f1"]);
    call.cancels("f1");
    let placed = Effect::OrderPlaced { order_number: "4782".to_owned(), spoken: "4, 7, 8, 2".to_owned() };
    let news = prompts(call.answers("f1", Some(placed)));
    assert!(matches!(&news[..], [news] if news.contains("4, 7, 8, 2") && news.contains("Do not place it again")));
    assert_eq!(call.session.summary().order_number.as_deref(), Some("4782"));

    // Or before it was taken back.
    let mut call = Call::live();
    call.requests(&["f1"]);
    let placed = Effect::OrderPlaced { order_number: "4782".to_owned(), spoken: "4, 7, 8, 2".to_owned() };
    call.answers("f1", Some(placed));
    let out = call.cancels("f1");
    assert!(matches!(&out[..], [Output::CancelTools(_), Output::AgentText(news)] if news.contains("4, 7, 8, 2")));
}
