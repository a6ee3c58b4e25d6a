//! The settings as operators meet them: the example file, the original's own file, and what the README promises.

use bobarista::config::{Config, ConfigError, Exposure, SETTINGS};
use std::collections::HashMap;
use std::path::Path;

/// A line of `.env.example` that gives a setting, and the comment right above it.
struct Example {
    name: String,
    value: String,
    /// Not taken over by someone who copies the file as it is.
    commented_out: bool,
    comment: String,
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn examples() -> Vec<Example> {
    let text = file(".env.example");
    let (mut found, mut comment) = (Vec::new(), String::new());
    for line in text.lines() {
        let given = line.strip_prefix('#').unwrap_or(line).split_once('=');
        let is_name =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        match given.filter(|(name, _)| is_name(name)) {
            Some((name, value)) => found.push(Example {
                name: name.to_owned(),
                value: value.to_owned(),
                commented_out: line.starts_with('#'),
                comment: std::mem::take(&mut comment),
            }),
            None if line.is_empty() => comment.clear(),
            None => comment += &format!("{line}\n"),
        }
    }
    found
}

fn read(settings: &HashMap<String, String>) -> Result<Config, ConfigError> {
    Config::read(&|name| settings.get(name).cloned())
}

/// What a server makes of a `.env` file.
fn read_env_file(text: &str) -> Result<Config, ConfigError> {
    let settings = dotenvy::from_read_iter(text.as_bytes()).collect::<Result<_, _>>().expect("the file can be read");
    read(&settings)
}

#[test]
fn the_example_lists_exactly_the_settings_that_there_are() {
    let listed: Vec<String> = examples().into_iter().map(|example| example.name).collect();
    let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_example_explains_each_setting_and_tells_its_default() {
    for (setting, example) in SETTINGS.iter().zip(examples()) {
        let comment = example.comment.to_lowercase();
        assert!(comment.contains(&setting.about.to_lowercase()), "{}: {comment}", setting.name);
        if !setting.default.is_empty() {
            let told = format!("# Default: {}\n", setting.default);
            assert!(example.comment.contains(&told), "{}: {comment}", setting.name);
        }
        let from_file = example.comment.contains(&format!("{}_FILE", setting.name));
        assert_eq!(from_file, setting.secret, "{}: {comment}", setting.name);
    }
}

#[test]
fn the_defaults_in_the_example_are_those_that_hold() {
    let key = || ("DEEPGRAM_API_KEY".to_owned(), "key".to_owned());
    let nothing_set = read(&HashMap::from([key()])).expect("the key is enough");
    let given = examples().into_iter().filter(|example| !example.value.is_empty());
    let mut spelled_out: HashMap<String, String> = given.map(|example| (example.name, example.value)).collect();
    assert!(spelled_out.len() > 15, "few values are spelled out: {spelled_out:?}");
    spelled_out.extend([key()]);
    let spelled_out = read(&spelled_out).expect("every example is well formed");
    assert_eq!(format!("{spelled_out:#?}"), format!("{nothing_set:#?}"));
}

#[test]
fn the_example_as_it_is_changes_nothing_and_asks_for_the_key() {
    let set: Vec<Example> = examples().into_iter().filter(|example| !example.commented_out).collect();
    assert!(!set.is_empty());
    for example in set {
        assert_eq!(example.value, "", "{} would be set by copying the file", example.name);
    }
    let error = read_env_file(&file(".env.example")).expect_err("a key is missing");
    assert_eq!(error.problems.len(), 1, "{error}");
    assert_eq!(error.problems[0].name, "DEEPGRAM_API_KEY");
}

/// The names that the Python original read, each with a value as its users set it.
const ORIGINAL: &str = "
DEEPGRAM_API_KEY=0123456789abcdef
DG_AGENT_URL=wss://agent.deepgram.com/v1/agent/converse
AGENT_LANGUAGE=en
AGENT_STT_MODEL=nova-3
AGENT_THINK_MODEL=gemini-2.5-flash
AGENT_TTS_MODEL=aura-2-odysseus-en

TWILIO_ACCOUNT_SID=AC00000000000000000000000000000001
TWILIO_AUTH_TOKEN=0123456789abcdef0123456789abcdef
TWILIO_FROM_E164=+15550001111
MSG_TWILIO_ACCOUNT_SID=AC00000000000000000000000000000002
MSG_TWILIO_AUTH_TOKEN=fedcba9876543210fedcba9876543210
MSG_TWILIO_FROM_E164=\"+15550002222\"
VOICE_HOST=Voice.Example.com
WS_SCHEME=wss
CLOSE_ON_PHRASE=true
CLOSING_PHRASE=\"Goodbye!\"
HANGUP_DELAY_MS=300
";

#[test]
fn the_originals_file_works_once_the_staff_password_is_added() {
    let error = read_env_file(ORIGINAL).expect_err("a public server without a staff password");
    let missing: Vec<_> = error.problems.iter().map(|problem| problem.name).collect();
    assert_eq!(missing, ["STAFF_PASSWORD"]);

    let config = read_env_file(&format!("{ORIGINAL}STAFF_PASSWORD=sesame\n")).expect("a public server");
    assert_eq!(config.server.exposure, Exposure::Public);
    assert_eq!(config.telephone.voice_host, "voice.example.com");
    assert_eq!(config.telephone.ws_scheme, "wss");
    assert_eq!(config.telephone.number.as_deref(), Some("+15550001111"));
    assert_eq!(config.telephone.closing_phrase.as_deref(), Some("Goodbye!"));
    let texts = config.telephone.texts.expect("texts can be sent");
    assert_eq!(
        (texts.account_sid.as_str(), texts.from.as_str()),
        ("AC00000000000000000000000000000002", "+15550002222")
    );
}

#[test]
fn texts_fall_back_to_the_account_of_the_calls() {
    let own: String =
        ORIGINAL.lines().filter(|line| !line.starts_with("MSG_")).map(|line| format!("{line}\n")).collect();
    let config = read_env_file(&format!("{own}STAFF_PASSWORD=sesame\n")).expect("a public server");
    let texts = config.telephone.texts.expect("texts can be sent");
    assert_eq!(
        (texts.account_sid.as_str(), texts.from.as_str()),
        ("AC00000000000000000000000000000001", "+15550001111")
    );
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let readme = file("README.md");
    let place = |command: &str| {
        let is_command = |line: &str| line.split_once('#').map_or(line, |(line, _)| line).trim() == command;
        readme.lines().position(is_command).unwrap_or_else(|| panic!("README.md does not give `{command}`"))
    };
    let (demo, tests) = (place("cargo run --release -- demo"), place("tests/run"));
    assert!(demo.max(tests) < 20, "they come first: they are in the lines {demo} and {tests}");
    assert!(readme.contains("`cargo run --release`"), "it says how to serve a shop");
}
