//! Scripts that can be played, and files that make no sense.

use super::*;
use serde_json::json;

#[test]
fn the_scripts_that_come_with_the_program_can_be_played() {
    for script in [Script::boba(), Script::coffee()] {
        assert!(script.greeting && script.steps.len() > 10, "{}", script.name);
        let Some(Step::Agent(last)) = script.steps.last() else { panic!("the agent has the last word") };
        assert!(last.texts[0].ends_with("Goodbye!"));
    }
    let Some(Step::Caller(line)) = Script::boba().steps.into_iter().next() else { panic!("the caller begins") };
    assert_eq!(line.audio.len(), 31_200, "the recording");
}

#[test]
fn every_kind_of_step() {
    let script = Script::parse(
        r##"
        name = "all"
        greeting = false
        behaviour = { connect = "never_apply", arguments = "object", late_audio_ms = 300 }
        [[step]]
        caller = "Hello"
        digits = "12#"
        interrupt_after_ms = 500
        [[step]]
        tools = [{ name = "a", arguments = { x = [1, 2.5, "y"] } }, { name = "b" }]
        cancel_after_ms = 10
        [[step]]
        agent = ["One {a.x.0}.", "Two."]
        continues = true
        [[step]]
        expect = { tool = "b", field = "ok", value = true }
        [[step]]
        fault = "unknown_message"
        [[step]]
        digits = "5"
        pause_ms = 100
        [[step]]
        hang_up = true
        "##,
    )
    .unwrap();
    assert_eq!(script.behaviour.connect, Connect::NeverApply);
    assert_eq!(script.behaviour.think_ms, 200);
    let [Step::Caller(line), Step::Tools(tools), Step::Agent(reply), Step::Expect(_), rest @ ..] = &script.steps[..]
    else {
        panic!("{:?}", script.steps)
    };
    assert_eq!((line.digits.as_str(), line.interrupt_after_ms), ("12#", Some(500)));
    assert_eq!(tools.calls[0].arguments, json!({"x": [1, 2.5, "y"]}));
    assert_eq!(tools.calls[1].arguments, json!({}));
    assert!(reply.continues);
    assert!(
        matches!(rest, [Step::Fault(AgentFault { kind: Fault::UnknownMessage, .. }), Step::Caller(keys), Step::HangUp]
        if keys.audio.is_empty() && keys.pause_ms == 100)
    );
}

#[test]
fn nonsense_is_refused_with_its_line() {
    let refuse = |step: &str| match Script::parse(&format!("name = \"x\"\n[[step]]\nagent = \"Hi\"\n{step}")) {
        Err(ScriptError::Step { line, number, problem }) => (line, number, problem),
        other => panic!("{step}: {other:?}"),
    };
    assert_eq!(refuse("[[step]]\n"), (4, 2, Problem::Kind));
    assert_eq!(refuse("[[step]]\nhang_up = false").2, Problem::Kind);
    assert_eq!(refuse("[[step]]\nagent = \"a\"\ncaller = \"b\"").2, Problem::Kind);
    assert_eq!(refuse("[[step]]\nagent = \"a\"\ninterrupt_after_ms = 1").2, Problem::Stray("interrupt_after_ms"));
    assert_eq!(refuse("[[step]]\ndigits = \"1\"\nclip = \"caller_taro\"").2, Problem::Stray("clip"));
    assert_eq!(refuse("[[step]]\nagent = [\"a\", \"b\"]\nclip = \"agent_reply\"").2, Problem::Stray("clip"));
    assert_eq!(refuse("[[step]]\nagent = []").2, Problem::Empty("agent"));
    assert_eq!(refuse("[[step]]\ncaller = \" \"").2, Problem::Empty("caller"));
    assert_eq!(refuse("[[step]]\ntools = []").2, Problem::Empty("tools"));
    assert_eq!(refuse("[[step]]\ndigits = \"\"").2, Problem::Empty("digits"));
    assert_eq!(refuse("[[step]]\ndigits = \"5x\"").2, Problem::Digits);
    for text in ["{", "}", "{a}", "a {b", "{a.b}}"] {
        let problem = refuse(&format!("[[step]]\nagent = \"{text}\"")).2;
        assert!(matches!(problem, Problem::Placeholder | Problem::NotCalled(_)), "{text}: {problem}");
    }
    assert_eq!(refuse("[[step]]\nagent = \"{a.b}\"").2, Problem::NotCalled("a".into()));
    let expect = "[[step]]\nexpect = { tool = \"a\", field = \"ok\", value = 1 }";
    assert_eq!(refuse(expect).2, Problem::NotCalled("a".into()));
}

#[test]
fn what_is_no_script_is_refused() {
    for (text, says) in [
        ("", "name"),
        ("name = \"x\"", "at least one"),
        ("name = 5", "line 1"),
        ("name = \"x\"\nspeed = 1", "speed"),
        ("name = \"x\"\n[[step]]\nagnet = \"Hi\"", "agnet"),
        ("name = \"x\"\n[[step]]\nfault = \"fire\"", "fire"),
        ("name = \"x\"\n[[step]]\ncaller = \"x\"\nclip = \"none\"", "none"),
        ("name = \"x\"\nbehaviour = { connect = \"maybe\" }", "maybe"),
        ("[[step", "line 1"),
    ] {
        let error = Script::parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn answers_are_compared_by_value() {
    let expect = |field: &str, value| Expectation { tool: "checkout_order".into(), field: field.into(), value };
    let answer = json!({"ok": true, "total": 6.0, "items": [{"price": 6.25}]});
    assert_eq!(expect("ok", json!(true)).check(Some(&answer)), None);
    assert_eq!(expect("total", json!(6)).check(Some(&answer)), None);
    assert_eq!(expect("items.0.price", json!(6.25)).check(Some(&answer)), None);
    assert!(expect("items.1.price", json!(6.25)).check(Some(&answer)).is_some());
    assert!(expect("ok", json!("true")).check(Some(&answer)).is_some());
    insta::assert_snapshot!(
        expect("ok", json!(true)).check(Some(&json!({"ok": false}))).unwrap(),
        @r#"checkout_order.ok should be true, got {"ok":false}"#
    );
    insta::assert_snapshot!(expect("ok", json!(true)).check(None).unwrap(), @"checkout_order.ok should be true, got no answer");
}

#[test]
fn faults_and_their_options() {
    let script = Script::parse(
        r#"
        name = "faults"
        bridge = "I am back."
        behaviour = { connect = "reject", resumes = true }
        step = [
            { fault = "error", code = "FAILED_TO_THINK", into_reply_ms = 40 },
            { tools = [{ name = "a" }, { name = "b" }], apart = true, repeat = "same_id", wait = false },
            { tools = [{ name = "a" }], repeat = "new_id", cancel_answered = true },
            { turn = "Tea." },
            { line = "hold_marks", after_ms = 20, heard_ms = 300, for_ms = 1000 },
            { line = "drop" },
        ]"#,
    )
    .unwrap();
    assert_eq!((script.behaviour.connect, script.behaviour.resumes), (Connect::Reject, true));
    assert_eq!(script.bridge, "I am back.");
    let [
        Step::Fault(fault),
        Step::Tools(apart),
        Step::Tools(taken_back),
        Step::Turn(turn),
        Step::Line(held),
        Step::Line(drop),
    ] = &script.steps[..]
    else {
        panic!("{:?}", script.steps)
    };
    let code = Some("FAILED_TO_THINK".to_owned());
    assert_eq!(*fault, AgentFault { kind: Fault::Error, code, into_reply_ms: Some(40) });
    assert_eq!((apart.apart, apart.repeat, apart.wait), (true, Some(Repeat::SameId), false));
    assert_eq!((taken_back.cancel_answered, taken_back.wait), (true, true));
    assert_eq!(turn, "Tea.");
    assert_eq!(*held, LineFault { kind: LineTrouble::HoldMarks, after_ms: 20, heard_ms: 300, for_ms: 1000 });
    assert_eq!((drop.kind, drop.after_ms), (LineTrouble::Drop, 0));

    for (step, stray) in [
        (r#"fault = "close", code = "X""#, "code"),
        (r#"agent = "Hi", into_reply_ms = 1"#, "into_reply_ms"),
        (r#"line = "drop", for_ms = 5"#, "for_ms"),
        (r#"tools = [{ name = "a" }], wait = false, cancel_answered = true"#, "cancel_answered"),
        (r#"turn = "Tea.", repeat = "new_id""#, "repeat"),
        (r#"caller = "Tea.", after_ms = 5"#, "after_ms"),
    ] {
        let refused = Script::parse(&format!("name = \"x\"\nstep = [{{ {step} }}]"));
        let Err(ScriptError::Step { problem, .. }) = refused else { panic!("{step}: {refused:?}") };
        assert_eq!(problem, Problem::Stray(stray), "{step}");
    }
}

/// The steps of a script in few words.
fn outline(script: &Script) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Caller(line) => format!("caller {}", line.text),
        Step::Agent(reply) => format!("agent {}", reply.texts[0]),
        Step::Tools(request) => format!("tool {}", request.calls[0].name),
        Step::Expect(expectation) => format!("expect {}", expectation.tool),
        Step::Turn(text) => format!("turn {text}"),
        Step::Fault(fault) => format!("fault {:?}", fault.kind),
        Step::Line(line) => format!("line {:?}", line.kind),
        Step::HangUp => "hang up".to_owned(),
    };
    script.steps.iter().map(word).collect()
}

#[test]
fn every_fault_that_ends_a_connection_has_the_rest_of_the_conversation_after_it() {
    let script = Script::parse(
        r#"
        name = "x"
        bridge = "I am back."
        behaviour = { connect = "hang_up", think_ms = 5 }
        step = [
            { fault = "close", into_reply_ms = 100 },
            { caller = "Tea." },
            { fault = "error" },
            { fault = "garbage" },
            { tools = [{ name = "add" }] },
            { expect = { tool = "add", field = "ok", value = true } },
            { fault = "half_frame" },
            { fault = "go_away", into_reply_ms = 100 },
            { agent = "Right?" },
            { caller = "Yes." },
        ]"#,
    )
    .unwrap();
    let connections = script.connections();
    assert_eq!(outline(&connections[0]), outline(&script));
    assert_eq!(outline(&connections[1]), outline(&script), "nothing was said before");
    let connect =
        connections.iter().map(|script| (script.behaviour.connect, script.behaviour.resumes, script.greeting));
    let wanted = [(Connect::HangUp, false, true), (Connect::Accept, false, true)];
    assert!(connect.eq(wanted.into_iter().chain([(Connect::Accept, true, false); 4])));
    assert_eq!(outline(&connections[2])[..2], ["caller Tea.", "fault Error"], "the greeting was cut off");
    assert_eq!(outline(&connections[3])[..3], ["turn Tea.", "fault Garbage", "tool add"]);
    let after_the_answer = ["turn Please go on.", "fault GoAway", "agent Right?", "caller Yes."];
    assert_eq!(outline(&connections[4]), after_the_answer);
    assert_eq!(outline(&connections[5]), ["caller Yes."], "a reply that was cut off is not said again");
    assert_eq!(Script::boba().connections().len(), 1);
}
