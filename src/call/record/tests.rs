use super::*;
use crate::bridge::moment::Sound;
use crate::config::OrdersConfig;
use crate::metrics::{Names, Present};
use crate::store::{self, Access};

fn metrics() -> Metrics {
    Metrics::new(&Names {
        endings: vec!["goodbye"],
        losses: Loss::ALL.map(Loss::as_str).to_vec(),
        tools: vec!["get_cart"],
        outcomes: vec!["ok"],
        channels: vec![],
        statuses: vec![],
        deliveries: vec![],
        lanes: vec![],
        refusals: vec![],
        routes: vec![],
    })
}

fn ended(recorder: Recorder) -> Option<CallRecord> {
    let summary = Summary { duration: Duration::from_millis(61_234), tool_calls: 2, redials: 1, ..Summary::default() };
    recorder.end("CA1", EndReason::Goodbye, &summary)
}

fn recorder(records: CallRecords) -> (Recorder, Metrics) {
    let metrics = metrics();
    (Recorder::new(metrics.clone(), records, Timestamp::UNIX_EPOCH), metrics)
}

fn every_moment() -> Vec<Moment> {
    let tool = || "get_cart".to_owned();
    let ms = Duration::from_millis;
    let mut moments = vec![
        Moment::AgentDialled { attempt: 0 },
        Moment::AgentLive { after: ms(300), resumed: false },
        Moment::ReplyBegan,
        Moment::ReplyHeard,
        Moment::BargeIn { unheard: ms(700) },
        Moment::TurnLatency { total: ms(900) },
        Moment::ToolBegan { tool: "+15551234567 is my number".to_owned() },
        Moment::ToolSlow { tool: tool() },
        Moment::ToolDone { tool: tool(), took: ms(4000), outcome: "ok" },
        Moment::ToolCancelled { tool: tool() },
        Moment::AgentDialled { attempt: 0 },
        Moment::AgentLive { after: ms(500), resumed: true },
        Moment::OrderPlaced { order_number: "4782".to_owned() },
        Moment::NumberAgain,
        Moment::Keys { count: 10 },
        Moment::Asked,
        Moment::Goodbye(EndReason::Goodbye),
        Moment::Sound(Sound { frames_in: 50, held: ms(2), ..Sound::default() }),
    ];
    moments.extend(Loss::ALL.map(Moment::AgentLost));
    moments
}

#[test]
fn moments_become_figures_and_a_timeline() {
    let (recorder, metrics) = recorder(CallRecords::Timeline);
    let witness = recorder.witness();
    for (second, moment) in every_moment().iter().enumerate() {
        witness(Duration::from_secs(second as u64), moment);
    }
    assert!(recorder.scribe(None).is_none(), "what is said is nobody's business");
    let record = ended(recorder).expect("a record");
    assert_eq!(record.timeline.len(), every_moment().len() - 1, "each but sound has its entry");
    assert_eq!((record.transcript, record.timeline_cut), (None, false));
    assert_eq!((record.head.redials, record.head.duration_ms, record.head.tools), (1, 61_234, 2));
    let done = record.timeline.iter().find(|entry| entry.what == "tool_done").expect("an entry");
    assert_eq!((done.at_ms, done.took_ms, done.outcome.as_deref()), (8000, Some(4000), Some("ok")));
    let told = serde_json::to_string(&record.timeline).expect("JSON");
    assert!(!told.contains("1555") && told.contains("\"unknown\""), "{told}");
    for entry in &record.timeline {
        assert!(ENTRIES.contains(&&*entry.what), "{}", entry.what);
    }
    for name in ENTRIES {
        assert!(record.timeline.iter().any(|entry| entry.what == name), "{name} never happened");
    }
    let text = metrics.text(&Present::default());
    for line in [
        "bobarista_calls_started_total 1",
        "bobarista_calls_ended_total{reason=\"goodbye\"} 1",
        "bobarista_agent_connects_total{outcome=\"new\"} 1",
        "bobarista_agent_connects_total{outcome=\"resumed\"} 1",
        "bobarista_agent_connects_total{outcome=\"set_up\"} 1",
        "bobarista_agent_redials_total 1",
        "bobarista_agent_losses_total{kind=\"renewed\"} 1",
        "bobarista_agent_replies_total{stage=\"heard\"} 1",
        "bobarista_barge_ins_total 1",
        "bobarista_audio_frames_total{direction=\"in\"} 50",
        "bobarista_tool_calls_total{tool=\"get_cart\",outcome=\"ok\"} 1",
        "bobarista_tool_cancelled_total{tool=\"get_cart\"} 1",
        "bobarista_tool_slow_total{tool=\"get_cart\"} 1",
        "bobarista_agent_latency_seconds_sum 0.9",
    ] {
        assert!(text.lines().any(|there| there == line), "{line} is missing:\n{text}");
    }
}

#[test]
fn nothing_is_kept_where_nothing_is_to_be_kept() {
    let (recorder, metrics) = recorder(CallRecords::Nothing);
    recorder.witness()(Duration::ZERO, &Moment::ReplyBegan);
    assert!(recorder.scribe(None).is_none());
    assert!(recorder.scribe(Some(Box::new(|_, _| {}))).is_some(), "who reads along does so all the same");
    assert_eq!(ended(recorder), None);
    assert!(metrics.text(&Present::default()).contains("bobarista_calls_ended_total{reason=\"goodbye\"} 1"));
}

#[tokio::test]
async fn a_record_is_bounded_and_says_so_and_a_store_takes_it() {
    let (recorder, _) = recorder(CallRecords::Transcript);
    let (witness, scribe) = (recorder.witness(), recorder.scribe(None).expect("it is to be kept"));
    for n in 0..MOST + 50 {
        witness(Duration::from_secs(n as u64), &Moment::ToolBegan { tool: "x".repeat(64) });
        scribe(Speaker::Caller, "ä\u{0}\"".repeat(LONGEST));
    }
    let record = ended(recorder).expect("a record");
    let said = record.transcript.clone().expect("what was said");
    assert_eq!((record.timeline.len(), record.timeline_cut, record.transcript_cut), (MOST, true, true));
    assert!(said.len() < MOST && said.iter().all(|line| line.text.chars().count() == LONGEST), "{}", said.len());
    assert!(said.iter().map(|line| line.text.len()).sum::<usize>() <= MOST_TEXT);

    let dir = tempfile::tempdir().expect("a folder");
    let store = store::open(&OrdersConfig::json(dir.path()), "main", Access::Write).await.expect("a store");
    let logbook = Logbook::open(store).await.expect("it opens");
    logbook.keep(&record).await.expect("it is kept");
    assert_eq!(logbook.read("CA1").await.expect("readable"), Some(record));
}

#[test]
fn what_is_said_is_kept_and_read_along() {
    let (recorder, _) = recorder(CallRecords::Transcript);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let along: Scribe = {
        let heard = Arc::clone(&heard);
        Box::new(move |who, text| heard.lock().expect("no panic").push((who, text)))
    };
    let scribe = recorder.scribe(Some(along)).expect("two read it");
    scribe(Speaker::Agent, "Hey!".to_owned());
    scribe(Speaker::Caller, "Taro tea.".to_owned());
    assert_eq!(heard.lock().expect("no panic").len(), 2);
    let record = ended(recorder).expect("a record");
    let lines = record.transcript.expect("what was said");
    let told: Vec<(&str, &str)> = lines.iter().map(|line| (line.who.as_str(), line.text.as_str())).collect();
    assert_eq!(told, [("agent", "Hey!"), ("caller", "Taro tea.")]);
    assert!(!record.transcript_cut && record.head.has_transcript);
}
