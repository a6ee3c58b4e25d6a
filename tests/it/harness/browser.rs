//! Real browsers: Chromium windows that open our pages, with hands to tap and type, eyes to wait for what is shown, and a
//! memory for every error on their consoles.
//!
//! Scripts are expressions with what `browser/prelude.js` defines, and `args`. They run as the developer tools' own, so
//! that a page's content security policy binds the page and not the test.

mod driver;

use super::{PATIENCE, TestShop, client};
use base64::Engine as _;
use driver::Driver;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities as _;
use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::{DesiredCapabilities, LoggingPrefsLogLevel, TypingData, WebDriver, WebElement};

const PRELUDE: &str = include_str!("browser/prelude.js");

/// The rules for accessibility that pages are held to, as tests/run fetches them.
const AXE: &str = "target/tools/axe-4.12.1.min.js";

/// How long a page may take to show something, on a machine that is busy with other tests.
const SHOWN_WITHIN: Duration = Duration::from_secs(20);

/// The browsers of one test.
pub(crate) struct Browser {
    driver: Driver,
    windows: std::sync::atomic::AtomicUsize,
}

/// One window of a browser of its own: a device.
pub(crate) struct Window {
    /// Always there until the window is dropped.
    driver: Option<WebDriver>,
    /// What failed requests the test expects to be noted on the console, as parts of the notes.
    failures: Vec<&'static str>,
}

/// What a window looks like, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// 1440×900.
    Desktop,
    /// 1280×800.
    Tablet,
    /// 800×1280.
    UprightTablet,
    /// 390×844.
    Phone,
    /// 1920×1080.
    Television,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        Self { driver: Driver::start().await, windows: 0.into() }
    }

    /// A window of a new browser, which knows nobody and has seen nothing.
    pub(crate) async fn window(&self, screen: Screen) -> Window {
        let number = self.windows.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let profile = self.driver.folder.path().join(format!("profile-{number}"));
        let profile = format!("--user-data-dir={}", profile.display());
        let mut capabilities = DesiredCapabilities::chrome();
        capabilities.set_binary(&self.driver.chromium).expect("a program");
        let mut arguments = vec![
            "--headless=new",
            // Tests may run as root, where Chromium has no sandbox to offer; it sees no page but ours.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-breakpad",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            &profile,
        ];
        if screen == Screen::Television {
            // As a shop would start the browser of its TV, which nobody ever touches.
            arguments.push("--autoplay-policy=no-user-gesture-required");
        }
        if screen != Screen::Desktop {
            // Where there is no mouse, they lie over the page and are seen only while it moves.
            arguments.push("--hide-scrollbars");
        }
        for argument in arguments {
            capabilities.add_arg(argument).expect("an argument");
        }
        capabilities.set_logging_prefs("browser", LoggingPrefsLogLevel::All).expect("a level");
        let driver = WebDriver::builder(&self.driver.url, capabilities).client(client()).await;
        let driver = driver.unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        driver.set_script_timeout(PATIENCE).await.expect("a limit");
        let window = Window { driver: Some(driver), failures: Vec::new() };
        window.resize(screen).await;
        window
    }

    /// A window with this page of a shop in it.
    pub(crate) async fn open(&self, screen: Screen, shop: &TestShop, path: &str) -> Window {
        let window = self.window(screen).await;
        window.go(&shop.url(path)).await;
        window
    }
}

impl Window {
    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("it is there until the window is dropped")
    }

    pub(crate) async fn go(&self, url: &str) {
        self.driver().goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// What an expression is worth now.
    pub(crate) async fn look(&self, expression: &str, args: &[Value]) -> Value {
        let script = format!("const args = Array.from(arguments);\n{PRELUDE}\nreturn ({expression});");
        let worth = self.driver().execute(script, args.to_vec()).await;
        worth.unwrap_or_else(|error| panic!("{expression}: {error}")).json().clone()
    }

    /// Waits until an expression is worth something, and returns what.
    pub(crate) async fn until(&self, expression: &str, args: &[Value]) -> Value {
        self.until_within(SHOWN_WITHIN, expression, args).await
    }

    pub(crate) async fn until_within(&self, limit: Duration, expression: &str, args: &[Value]) -> Value {
        let script = waiting(expression);
        let asked = Instant::now();
        loop {
            let left = limit.saturating_sub(asked.elapsed());
            let mut given = vec![json!(left.as_millis())];
            given.extend_from_slice(args);
            let problem = match self.driver().execute_async(&*script, given).await {
                Ok(answer) if answer.json()["worth"] != Value::Null => return answer.json()["worth"].clone(),
                Ok(answer) => answer.json()["problem"].to_string(),
                Err(error) if is_dialog(&error) => panic!("a dialog is open: {error}"),
                // Another page has taken the place of the one that was looked at.
                Err(error) => error.to_string(),
            };
            if asked.elapsed() >= limit {
                self.fail(&format!("not within {limit:?}: {expression} with {args:?} ({problem})")).await;
            }
        }
    }

    /// Waits until an expression is worth an element that can be clicked, and clicks it.
    pub(crate) async fn click(&self, expression: &str, args: &[Value]) {
        self.with_element(expression, args, async |element| element.click().await).await;
    }

    /// Replaces what stands in a field.
    pub(crate) async fn fill(&self, expression: &str, args: &[Value], text: &str) {
        self.with_element(expression, args, async |element| {
            element.clear().await?;
            element.send_keys(text).await
        })
        .await;
    }

    /// What is done with an element is done again when the page has just replaced it, or something stood before it. One
    /// that an animation carries is waited for: it would be hit where it was.
    async fn with_element(
        &self,
        expression: &str,
        args: &[Value],
        act: impl AsyncFn(WebElement) -> thirtyfour::error::WebDriverResult<()>,
    ) {
        let asked = Instant::now();
        let at_rest = format!(
            "((found) => found && !document.getAnimations().some((one) =>
               one.playState === 'running' && one.effect.target.contains(found)) && found)({expression})"
        );
        loop {
            let found = self.until(&at_rest, args).await;
            let element = WebElement::from_json(found, self.driver().handle().clone()).expect("an element");
            match act(element).await {
                Ok(()) => return,
                Err(error) if !is_passing(&error) || asked.elapsed() > SHOWN_WITHIN => {
                    self.fail(&format!("{expression} with {args:?}: {error}")).await;
                }
                Err(_) => {}
            }
        }
    }

    /// Types on the keyboard, wherever the focus is; `thirtyfour::Key` has those keys that are no letters.
    pub(crate) async fn keys(&self, keys: impl Into<TypingData>) {
        self.driver().action_chain().send_keys(keys).perform().await.expect("a keyboard");
    }

    pub(crate) async fn resize(&self, screen: Screen) {
        let (width, height) = screen.size();
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": screen == Screen::Phone});
        self.tools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// In which light the page is looked at, on a screen or on paper.
    pub(crate) async fn media(&self, scheme: Scheme, print: bool) {
        let scheme = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let media = if print { "print" } else { "" };
        self.tools("Emulation.setEmulatedMedia", json!({"media": media, "features": features})).await;
    }

    /// Runs a script before those of every page that is opened from now on.
    pub(crate) async fn before_pages(&self, script: &str) {
        self.tools("Page.addScriptToEvaluateOnNewDocument", json!({"source": script})).await;
    }

    /// A command of the developer tools.
    pub(crate) async fn tools(&self, method: &str, params: Value) -> Value {
        let answer = self.driver().cdp().send_raw(method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Waits until nothing moves any more, but for what always does: what fades in is pale for a moment.
    async fn settle(&self) {
        let settled = "Promise.race([
            Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))),
            new Promise((resolve) => setTimeout(resolve, 2000)),
        ]).then(() => true)";
        self.look(settled, &[]).await;
    }

    /// Writes what is seen to `target/screenshots/{name}.png`, once nothing moves any more.
    pub(crate) async fn picture(&self, name: &str) {
        self.settle().await;
        let shot = self.tools("Page.captureScreenshot", json!({"format": "png"})).await;
        let png = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().expect("a picture"));
        let folder = in_repository("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{name}.png")), png.expect("Base64")).expect("a picture is written");
    }

    /// Panics if there are [`Self::faults`] of accessibility.
    pub(crate) async fn assert_accessible(&self, what: &str) {
        let faults = self.faults().await;
        assert!(faults.is_empty(), "{what}: {} faults of accessibility\n{}", faults.len(), faults.join("\n"));
    }

    /// What axe-core finds on the page and calls serious or critical. Meanwhile nothing moves: what appears while it is
    /// judged is judged as it will be, not while it is still pale.
    pub(crate) async fn faults(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(in_repository(AXE));
        let axe = axe.unwrap_or_else(|error| panic!("{AXE} cannot be read ({error}); tests/run fetches it"));
        self.tools("Runtime.evaluate", json!({"expression": axe})).await;
        let run = r"
            const done = arguments[0];
            const still = new CSSStyleSheet();
            still.replaceSync(`*, ::before, ::after, ::backdrop { animation: none !important; transition: none !important }`);
            document.adoptedStyleSheets.push(still);
            axe.run(document, { resultTypes: ['violations'] }).then(
              (found) => found.violations
                .filter((fault) => fault.impact === 'serious' || fault.impact === 'critical')
                .flatMap((fault) => fault.nodes.map((node) => `${fault.id}: ${node.html}: ${node.failureSummary}`)),
              (error) => [String(error)],
            ).then((faults) => {
              document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== still);
              done(faults);
            });";
        let found = self.driver().execute_async(run, Vec::new()).await.expect("axe runs");
        found.convert().expect("a list")
    }

    /// From now on failed requests whose notes on the console hold one of these words are what the test is about.
    pub(crate) fn expect_failures(&mut self, notes: &[&'static str]) {
        self.failures.extend_from_slice(notes);
    }

    /// Nothing may have gone wrong in this window's pages that the test did not expect.
    pub(crate) async fn assert_quiet(&self) {
        let wrong = self.wrong_notes().await;
        let page = self.driver().current_url().await.expect("a page");
        assert!(wrong.is_empty(), "on the console of {page}\n{}", wrong.join("\n"));
    }

    /// The warnings and errors on the console that the test did not expect, since they were last asked for.
    pub(crate) async fn wrong_notes(&self) -> Vec<String> {
        let notes = self.driver().browser_log().await.expect("the console's notes");
        let wrong = notes.into_iter().filter(|note| {
            let of_network = note.source.as_deref() == Some("network");
            let is_expected = of_network && self.failures.iter().any(|expected| note.message.contains(expected));
            matches!(note.level.as_str(), "SEVERE" | "WARNING") && !is_expected
        });
        wrong.map(|note| format!("{} {:?}: {}", note.level, note.source, note.message)).collect()
    }

    /// Says what is on the page, and fails.
    async fn fail(&self, why: &str) -> ! {
        let name = std::thread::current().name().unwrap_or("test").replace("::", "-");
        self.picture(&format!("failed-{name}")).await;
        let page = self.look("location.href + '\\n' + document.body.innerText", &[]).await;
        let notes = self.driver().browser_log().await.unwrap_or_default();
        panic!(
            "{why}\npicture: target/screenshots/failed-{name}.png\n{}\n{notes:#?}",
            page.as_str().unwrap_or_default()
        );
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Its processes end with the driver's; asking it to quit would block.
        if let Some(driver) = self.driver.take() {
            let _ = driver.leak();
        }
    }
}

impl Screen {
    fn size(self) -> (u32, u32) {
        match self {
            Self::Desktop => (1440, 900),
            Self::Tablet => (1280, 800),
            Self::UprightTablet => (800, 1280),
            Self::Phone => (390, 844),
            Self::Television => (1920, 1080),
        }
    }
}

/// A script that looks until an expression is worth something, or its first argument's milliseconds are over.
fn waiting(expression: &str) -> String {
    format!(
        "const given = Array.from(arguments), done = given.pop(), limit = performance.now() + given.shift();
         const args = given;
         {PRELUDE}
         (function look() {{
           let worth = null, problem = 'it is not so';
           try {{ worth = ({expression}); }} catch (error) {{ problem = String(error); }}
           if (worth) return done({{ worth }});
           if (performance.now() >= limit) return done({{ worth: null, problem }});
           setTimeout(look, 15);
         }})();"
    )
}

fn is_dialog(error: &WebDriverErrorInner) -> bool {
    matches!(error, WebDriverErrorInner::UnexpectedAlertOpen(_))
}

fn is_passing(error: &WebDriverErrorInner) -> bool {
    matches!(
        error,
        WebDriverErrorInner::StaleElementReference(_)
            | WebDriverErrorInner::ElementClickIntercepted(_)
            | WebDriverErrorInner::ElementNotInteractable(_)
    )
}

fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
