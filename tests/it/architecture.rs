//! Holds the sources to ARCHITECTURE.md: which room may know which other, and what some must not know at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One source file as it is compiled into the program: no comments, no tests.
struct Source {
    /// Below `src`, such as `web/orders.rs`.
    path: String,
    /// Line numbers from 1, and the lines.
    code: Vec<(usize, String)>,
}

impl Source {
    fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources: Vec<Source> = files(&root)
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(&root).expect("below src").display().to_string();
            let text = std::fs::read_to_string(&file).expect("a source file can be read");
            Source { path, code: code(&text) }
        })
        .filter(|source| !source.path.ends_with("tests.rs"))
        .collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 50, "the sources were not found: only {}", sources.len());
    sources
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder can be read").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    files.chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}

/// The lines without comments and without items under `#[cfg(test)]`, whose end rustfmt lets us tell by indentation.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let mut code = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            let item = lines.by_ref().map(|(_, line)| line).find(|line| !line.trim().starts_with("#["));
            if item.is_some_and(|item| item.ends_with('{')) {
                assert!(lines.by_ref().any(|(_, line)| line == end), "an item under #[cfg(test)] does not end");
            }
        } else if !line.trim_start().starts_with("//") {
            code.push((number, line.split(" // ").next().unwrap_or_default().to_owned()));
        }
    }
    code
}

/// The rooms that a line names, as `crate::room` or, in the program's own file, `bobarista::room`.
fn rooms_named(line: &str) -> Vec<&str> {
    let mut named = Vec::new();
    for root in ["crate::", "bobarista::"] {
        for (place, _) in line.match_indices(root) {
            let before = line[..place].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == '$') {
                continue;
            }
            let rest = &line[place + root.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            // A group, `crate::{a, b}`, names no room here: it is told as one without a name.
            named.push(&rest[..end]);
        }
    }
    named
}

/// The most levels that a line goes up.
fn levels_up(line: &str) -> usize {
    let runs = line.split("super::").collect::<Vec<_>>();
    let (mut most, mut run) = (0, 0);
    for between in runs.iter().take(runs.len() - 1).enumerate().map(|(index, text)| (index, *text)) {
        run = if between.0 > 0 && between.1.is_empty() { run + 1 } else { 1 };
        most = most.max(run);
    }
    most
}

/// Each room and those that it may import, as ARCHITECTURE.md has it. A room that is not there has no place in the house.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md"));
    let page = page.expect("ARCHITECTURE.md can be read");
    let lines = page.lines().skip_while(|line| *line != "| room | may import |").skip(2);
    let rows: Vec<(Vec<&str>, &str)> = lines
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .map(|(rooms, may)| (rooms.split(", ").collect(), may))
        .collect();
    let all: BTreeSet<&str> = rows.iter().flat_map(|(rooms, _)| rooms.iter().copied()).collect();
    let meant = |room: &str, may: &str| -> BTreeSet<String> {
        let but = may.strip_prefix("all").map(|but| but.trim_start_matches(" but ").split(" and ").collect::<Vec<_>>());
        let rooms: BTreeSet<&str> = match but {
            Some(but) => all.iter().copied().filter(|other| *other != room && !but.contains(other)).collect(),
            None if may == "nothing of ours" => BTreeSet::new(),
            None => may.split(", ").collect(),
        };
        assert!(rooms.is_subset(&all), "{room} may import what has no line of its own: {may}");
        rooms.into_iter().map(str::to_owned).collect()
    };
    let mut table: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (rooms, may) in &rows {
        for room in rooms {
            assert!(table.insert((*room).to_owned(), meant(room, may)).is_none(), "{room} stands there twice");
        }
    }
    assert!(table.len() > 15, "the table was not found: {table:?}");
    // The program's own file calls a command, and is no room.
    table.insert("main".to_owned(), BTreeSet::from(["commands".to_owned()]));
    table
}

#[test]
fn every_room_imports_only_what_it_may() {
    let table = table();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "lib") {
        let room = source.room();
        for (number, line) in &source.code {
            for named in rooms_named(line) {
                if named != room && !table.get(room).is_some_and(|may| may.contains(named)) {
                    wrong.push(format!("{}:{number}: {room} may not import {named:?}: {}", source.path, line.trim()));
                }
            }
            // `super` out of the room would get round the table.
            if levels_up(line) >= source.path.split('/').count() {
                wrong.push(format!(
                    "{}:{number}: `super` leaves the room; write `crate::`: {}",
                    source.path,
                    line.trim()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_room_has_its_place_in_the_table() {
    let sources = sources();
    let found: BTreeSet<&str> = sources.iter().map(Source::room).filter(|room| *room != "lib").collect();
    let table = table();
    let planned: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    assert_eq!(found, planned);
}

#[test]
fn the_table_has_no_circles() {
    let table = table();
    let (mut built, mut left): (BTreeSet<String>, Vec<&String>) = (BTreeSet::new(), table.keys().collect());
    while !left.is_empty() {
        let (ready, waiting): (Vec<_>, Vec<_>) = left.into_iter().partition(|room| table[*room].is_subset(&built));
        assert!(!ready.is_empty(), "these rooms need each other: {waiting:?}");
        built.extend(ready.into_iter().cloned());
        left = waiting;
    }
}

/// Lines of files that `within` picks and that hold one of these words.
fn mentions(within: impl Fn(&Source) -> bool, words: &[&str]) -> Vec<String> {
    let sources = sources();
    let within: Vec<&Source> = sources.iter().filter(|source| within(source)).collect();
    assert!(!within.is_empty(), "no file was looked at");
    let lines =
        within.into_iter().flat_map(|source| source.code.iter().map(move |(number, line)| (source, number, line)));
    let found = lines.filter(|(_, _, line)| words.iter().any(|word| line.contains(word)));
    found.map(|(source, number, line)| format!("{}:{number}: {}", source.path, line.trim())).collect()
}

#[test]
fn the_pure_rooms_know_no_clock_and_no_socket() {
    let pure = |source: &Source| {
        matches!(source.room(), "ordering" | "audio")
            || ["session", "codec", "reply", "ending", "summary"]
                .iter()
                .any(|name| source.path == format!("bridge/{name}.rs"))
    };
    let words =
        ["tokio", "std::net", "std::fs", "std::env", "Instant::now", "SystemTime", "Timestamp::now", "Zoned::now"];
    let found = mentions(pure, &words);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn twilio_and_deepgram_never_meet_but_in_the_bridge() {
    let found = mentions(|source| source.room() == "twilio", &["deepgram"]);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let found = mentions(|source| source.room() == "deepgram", &["twilio"]);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let rest_only = mentions(|source| source.room() == "outbox", &["crate::twilio::"]);
    assert!(rest_only.iter().all(|line| line.contains("crate::twilio::rest::")), "\n{}", rest_only.join("\n"));
}

#[test]
fn nothing_below_calls_and_pages_knows_http() {
    let above = ["call", "web", "app", "simulator", "commands", "main"];
    // The driver is handed the phone leg as the socket that the web framework made of it.
    let below = |source: &Source| !above.contains(&source.room()) && source.path != "bridge/driver.rs";
    let found = mentions(below, &["axum"]);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn what_this_file_looks_for_is_found() {
    assert_eq!(rooms_named("use crate::store::json;"), ["store"]);
    assert_eq!(rooms_named("let x: Vec<crate::web::A> = crate::shop::f(bobarista::app::g());"), ["web", "shop", "app"]);
    assert_eq!(rooms_named("use crate::{store, web};"), [""]);
    assert_eq!(rooms_named("use mycrate::store; $crate::web"), [""; 0]);
    assert_eq!(levels_up("use super::super::store;"), 2);
    assert_eq!(levels_up("use super::a; use super::b;"), 1);
    assert_eq!(levels_up("let x = 1;"), 0);
    let text = "//! x\nuse a;\n#[cfg(test)]\nuse b;\n/// y\nfn c() {} // z\n#[cfg(test)]\nmod tests {\n    fn d() {\n    }\n}\nfn e() {}";
    let kept: Vec<String> = code(text).into_iter().map(|(_, line)| line).collect();
    assert_eq!(kept, ["use a;", "fn c() {}", "fn e() {}"]);
}
