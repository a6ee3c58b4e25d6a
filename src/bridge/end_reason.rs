//! Why a call ended: what is told to the log, to figures and records, and to Twilio.

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The agent's goodbye was heard.
    Goodbye,
    /// The caller is put through to a person.
    Transfer,
    /// The caller hung up.
    CallerHungUp,
    /// The phone leg broke.
    PhoneLost,
    /// The phone leg sent what is no media stream, or did not take audio.
    PhoneFault,
    /// The agent could not be dialled, or never accepted a conversation.
    AgentUnreachable,
    /// The agent reported an error or closed its socket.
    AgentLost,
    /// The longest call.
    MaxDuration,
    /// The caller was silent, also when asked.
    CallerIdle,
    /// The line made sounds and no conversation: music, or a recorded voice.
    NoConversation,
    /// The server stopped.
    Shutdown,
}

impl EndReason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Goodbye,
        Self::Transfer,
        Self::CallerHungUp,
        Self::PhoneLost,
        Self::PhoneFault,
        Self::AgentUnreachable,
        Self::AgentLost,
        Self::MaxDuration,
        Self::CallerIdle,
        Self::NoConversation,
        Self::Shutdown,
    ];

    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Transfer => "transfer",
            Self::CallerHungUp => "caller_hung_up",
            Self::PhoneLost => "phone_lost",
            Self::PhoneFault => "phone_fault",
            Self::AgentUnreachable => "agent_unreachable",
            Self::AgentLost => "agent_lost",
            Self::MaxDuration => "max_duration",
            Self::CallerIdle => "caller_idle",
            Self::NoConversation => "no_conversation",
            Self::Shutdown => "shutdown",
        }
    }
}
