use super::*;
use std::collections::{BTreeMap, BTreeSet};

fn names() -> Names {
    Names {
        endings: vec!["goodbye", "agent_lost"],
        losses: vec!["unreachable", "set_up", "error"],
        tools: vec!["get_cart", "checkout_order"],
        outcomes: vec!["ok", "NOT_SAVED"],
        channels: vec!["phone", "web"],
        statuses: vec!["received", "ready"],
        deliveries: vec!["text_ready", "webhook"],
        lanes: vec!["texts", "sheet"],
        refusals: vec!["busy"],
        routes: vec!["api", "page"],
    }
}

/// Every sample of a text by its name and labels, after a look at the whole text's form.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut described) = (BTreeMap::new(), BTreeSet::new());
    let mut current = None;
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a name and its help");
            assert!(described.insert(name.to_owned()), "{name} is described twice");
            assert!(help.ends_with('.'), "{line}");
            current = Some((name.to_owned(), None));
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').expect("a name and its type");
            let (of, place) = current.as_mut().expect("its help comes first");
            assert_eq!(of, name);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            *place = Some(kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let name = series.split_once('{').map_or(series, |(name, _)| name);
            let (of, kind) = current.as_ref().expect("it is described");
            let suffix = name.strip_prefix(of.as_str()).unwrap_or_else(|| panic!("{line} stands under {of}"));
            let is_histogram = kind.as_deref() == Some("histogram");
            assert_eq!(is_histogram, ["_sum", "_count", "_bucket"].contains(&suffix), "{line}");
            assert!(is_histogram || suffix.is_empty(), "{line}");
            let value = value.parse().expect("a number");
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} is there twice");
        }
    }
    samples
}

#[test]
fn what_happens_is_in_the_text() {
    let metrics = Metrics::new(&names());
    let before = samples(&metrics.text(&Present::default()));
    assert_eq!(before["bobarista_calls_started_total"], 0.0, "every series is there from the start");
    assert_eq!(before["bobarista_calls_ended_total{reason=\"goodbye\"}"], 0.0);
    assert!(before["process_start_time_seconds"] > 1.6e9);

    metrics.call_started();
    metrics.agent_live(Duration::from_millis(250), false);
    metrics.agent_lost("error");
    metrics.agent_redialled();
    metrics.agent_lost("unreachable");
    metrics.agent_live(Duration::from_secs(3), true);
    metrics.tool_done("get_cart", "ok", Duration::from_millis(7));
    metrics.order_created("phone");
    metrics.order_status("ready");
    metrics.delivery("text_ready", "sent");
    metrics.request("api", 404);
    metrics.barge_in(Duration::from_millis(1500));
    metrics.sound(&Heard { frames_in: 50, frames_out: 20, held: Duration::from_millis(3), ..Heard::default() });
    metrics.call_ended("goodbye", Duration::from_secs(90));
    let present = Present {
        calls: 2,
        feeds: vec![("staff", 3)],
        table_sessions: vec![("private", Some(1))],
        table_screens: Some(2),
        due: vec![("texts", Some(4)), ("sheet", None)],
    };
    let after = samples(&metrics.text(&present));
    for (series, value) in [
        ("bobarista_calls_active", 2.0),
        ("bobarista_calls_started_total", 1.0),
        ("bobarista_calls_ended_total{reason=\"goodbye\"}", 1.0),
        ("bobarista_call_duration_seconds_sum", 90.0),
        ("bobarista_call_duration_seconds_bucket{le=\"60.0\"}", 0.0),
        ("bobarista_call_duration_seconds_bucket{le=\"90.0\"}", 1.0),
        ("bobarista_call_duration_seconds_bucket{le=\"+Inf\"}", 1.0),
        ("bobarista_agent_connects_total{outcome=\"new\"}", 1.0),
        ("bobarista_agent_connects_total{outcome=\"resumed\"}", 1.0),
        ("bobarista_agent_connects_total{outcome=\"unreachable\"}", 1.0),
        ("bobarista_agent_losses_total{kind=\"error\"}", 1.0),
        ("bobarista_agent_redials_total", 1.0),
        ("bobarista_agent_set_up_seconds_sum", 3.25),
        ("bobarista_agent_set_up_seconds_count", 2.0),
        ("bobarista_audio_frames_total{direction=\"in\"}", 50.0),
        ("bobarista_audio_frames_total{direction=\"out\"}", 20.0),
        ("bobarista_audio_held_seconds_sum", 0.003),
        ("bobarista_audio_dropped_seconds_total", 0.0),
        ("bobarista_barge_in_unheard_seconds_total", 1.5),
        ("bobarista_tool_calls_total{tool=\"get_cart\",outcome=\"ok\"}", 1.0),
        ("bobarista_tool_duration_seconds_count{tool=\"get_cart\"}", 1.0),
        ("bobarista_orders_created_total{channel=\"phone\"}", 1.0),
        ("bobarista_order_status_changes_total{status=\"ready\"}", 1.0),
        ("bobarista_deliveries_total{kind=\"text_ready\",outcome=\"sent\"}", 1.0),
        ("bobarista_deliveries_due{lane=\"texts\"}", 4.0),
        ("bobarista_feeds_open{audience=\"staff\"}", 3.0),
        ("bobarista_table_sessions{kind=\"private\"}", 1.0),
        ("bobarista_table_sessions{kind=\"table\"}", 0.0),
        ("bobarista_table_screens", 2.0),
        ("bobarista_http_requests_total{route=\"api\",status=\"4xx\"}", 1.0),
        (concat!("bobarista_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(after.get(series), Some(&value), "{series}");
    }
    assert!(after["bobarista_deliveries_due{lane=\"sheet\"}"].is_nan(), "nobody knows");
}

/// What rises to one from nothing is no increase to Prometheus: it has to have been nought before.
#[test]
fn what_fails_for_the_first_time_has_a_series_already() {
    let samples = samples(&Metrics::new(&names()).text(&Present::default()));
    for series in [
        "bobarista_tool_calls_total{tool=\"checkout_order\",outcome=\"NOT_SAVED\"}",
        "bobarista_tool_calls_total{tool=\"unknown\",outcome=\"ok\"}",
        "bobarista_deliveries_total{kind=\"webhook\",outcome=\"failed\"}",
        "bobarista_deliveries_total{kind=\"text_ready\",outcome=\"retried\"}",
        "bobarista_http_requests_total{route=\"api\",status=\"5xx\"}",
    ] {
        assert_eq!(samples.get(series), Some(&0.0), "{series}");
    }
    assert!(!samples.keys().any(|series| series.contains("kind=\"unknown\"")), "there is no such delivery");
}

#[test]
fn what_an_agent_or_a_stranger_invents_makes_no_series() {
    let metrics = Metrics::new(&names());
    let tell = |name: &str| {
        metrics.tool_done(name, "UNKNOWN_TOOL", Duration::ZERO);
        metrics.tool_slow(name);
        metrics.tool_cancelled(name);
        metrics.call_ended(name, Duration::ZERO);
        metrics.agent_lost(name);
        metrics.order_created(name);
        metrics.delivery(name, "sent");
        metrics.request(name, 200);
    };
    tell("an invention");
    let first = samples(&metrics.text(&Present::default()));
    for n in 0..1000 {
        tell(&format!("+1555{n:07}\"}} 1\n# HELP x"));
    }
    let last = samples(&metrics.text(&Present::default()));
    assert!(first.keys().eq(last.keys()), "no series more");
    assert_eq!(last["bobarista_tool_calls_total{tool=\"unknown\",outcome=\"UNKNOWN_TOOL\"}"], 1001.0);
    assert_eq!(last["bobarista_tool_slow_total{tool=\"unknown\"}"], 1001.0);
    assert!(!last.keys().any(|series| series.contains("1555")));
    assert_eq!((metrics.tool("get_cart"), metrics.tool("get_cart ")), ("get_cart", "unknown"));
}

#[test]
fn times_are_counted_by_the_first_bound_that_they_fit_under() {
    let metrics = Metrics::new(&names());
    for ms in [0, 1, 2, 20, 21, 5000] {
        metrics.sound(&Heard { held: Duration::from_millis(ms), ..Heard::default() });
    }
    let samples = samples(&metrics.text(&Present::default()));
    let under = |bound: &str| samples[&format!("bobarista_audio_held_seconds_bucket{{le=\"{bound}\"}}")];
    assert_eq!(
        [under("0.001"), under("0.002"), under("0.02"), under("0.05"), under("+Inf")],
        [2.0, 3.0, 4.0, 5.0, 6.0]
    );
    assert_eq!(samples["bobarista_audio_held_seconds_sum"], 5.044);
}
