//! Orders that are being looked up, beside everything else: a slow store must not hold up what does not need it.
//!
//! A look-up changes nothing, so it is dropped when nobody wants it any more, or when the call ends. This file does not
//! know what is looked up.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::answer::{Code, Failure};
use super::{Outcome, ToolAnswer, ToolRequest, finish};

/// As many as one call has at a time: an agent that asks and asks would keep a store busy for nothing.
const MOST: usize = 4;

/// The look-ups of one call. (Few: polled one by one, and no memory while there are none.)
#[derive(Default)]
pub(super) struct LookUps(Vec<LookUp>);

struct LookUp {
    id: String,
    name: String,
    outcome: BoxFuture<'static, Outcome>,
}

impl LookUps {
    /// Begins one, or says that there are enough.
    pub(super) fn begin(
        &mut self,
        request: &ToolRequest,
        outcome: impl Future<Output = Outcome> + Send + 'static,
    ) -> Result<(), Failure> {
        if self.0.len() >= MOST {
            return Err(Failure::new(Code::StillWorking, "I'm still looking that up, one moment please."));
        }
        self.0.push(LookUp { id: request.id.clone(), name: request.name.clone(), outcome: Box::pin(outcome) });
        Ok(())
    }

    /// The answer of one that has ended; never, when there is none. Safe to drop and call again.
    pub(super) async fn next(&mut self) -> ToolAnswer {
        poll_fn(|context| {
            let mut look_ups = self.0.iter_mut().enumerate();
            let ended = look_ups.find_map(|(at, look_up)| match look_up.outcome.poll_unpin(context) {
                Poll::Ready(outcome) => Some((at, outcome)),
                Poll::Pending => None,
            });
            let Some((at, outcome)) = ended else { return Poll::Pending };
            let LookUp { id, name, .. } = self.0.remove(at);
            Poll::Ready(finish(id, name, outcome))
        })
        .await
    }

    /// These are not wanted any more, and are not answered: how many there were.
    pub(super) fn forget(&mut self, ids: &[String]) -> usize {
        let before = self.0.len();
        self.0.retain(|look_up| !ids.contains(&look_up.id));
        before - self.0.len()
    }
}
