//! The pages for everybody: they can be read and used by all, in light and in dark, on whatever screen.

use super::assert_all_quiet;
use crate::harness::TestShop;
use crate::harness::browser::{Browser, Scheme, Screen};

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_everybody_are_accessible_and_fit_every_screen() {
    let shop = TestShop::open_with([], &[("TWILIO_FROM_E164", "+15557654321")]).await;
    let browser = Browser::start().await;
    let window = browser.window(Screen::Desktop).await;
    for (path, name) in [("/", "landing"), ("/api/docs", "api")] {
        window.go(&shop.url(path)).await;
        // The shop's name and the description are loaded after the page.
        window.until("document.title.includes('Deepgram') && !page().includes('undefined')", &[]).await;
        window.until("one('h1') && all('h2').length > 0", &[]).await;
        for (screen, size) in [(Screen::Desktop, "desktop"), (Screen::Phone, "phone")] {
            window.resize(screen).await;
            for (scheme, light) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
                window.media(scheme, false).await;
                window.assert_accessible(&format!("{path}, {size}, {light}")).await;
                window.picture(&format!("{name}-{size}-{light}")).await;
            }
            let wide = window.look("document.documentElement.scrollWidth > innerWidth", &[]).await;
            assert_eq!(wide, false, "{path} has to be scrolled sideways on a {size}");
        }
    }
    assert_all_quiet(&[&window]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_these_tests_look_for_is_found() {
    let shop = TestShop::open([]).await;
    let browser = Browser::start().await;
    let mut window = browser.open(Screen::Tablet, &shop, "/").await;
    window.until("one('h1')", &[]).await;
    assert_eq!((window.faults().await.len(), window.wrong_notes().await.len()), (0, 0));

    // An error in a script, a script in the page, and two requests that fail, one of them as expected.
    window.expect_failures(&["404"]);
    window.look("void setTimeout(() => { throw new Error('a fault'); })", &[]).await;
    let inline = "void document.body.appendChild(Object.assign(document.createElement('script'), { text: 'window.inline = 1' }))";
    window.look(inline, &[]).await;
    window
        .look(
            "fetch('/nowhere').then(() => fetch('/logout', { method: 'POST', body: 'nonsense' })).then(() => true)",
            &[],
        )
        .await;
    let mut noted = Vec::new();
    while noted.len() < 3 {
        noted.extend(window.wrong_notes().await);
    }
    let noted = noted.join("\n");
    for part in ["a fault", "Content Security Policy", "/logout"] {
        assert!(noted.contains(part), "{part} was missed: {noted}");
    }
    assert!(!noted.contains("/nowhere"), "{noted}");
    assert_eq!(window.look("window.inline === undefined", &[]).await, true);

    window.look("void document.body.appendChild(document.createElement('button'))", &[]).await;
    let faults = window.faults().await.join("\n");
    assert!(faults.contains("button-name"), "a button without a name was missed: {faults}");
    // What appears slowly is judged as it will be; what stays pale is found.
    let pale = |style: &str| {
        format!(
            "void Object.assign(document.body.appendChild(document.createElement('p')), \
             {{ textContent: 'pale', style: '{style}' }})"
        )
    };
    window.look(&pale("animation: appear 60s"), &[]).await;
    assert_eq!(window.look("getComputedStyle(document.body.lastElementChild).opacity < 0.1", &[]).await, true);
    assert!(!window.faults().await.join("\n").contains("color-contrast"), "what appears is no fault");
    window.look(&pale("opacity: 0.1"), &[]).await;
    assert!(window.faults().await.join("\n").contains("color-contrast"), "pale text was missed");
    let wide = "(() => { const wide = document.body.appendChild(document.createElement('p'));
        wide.className = 'wide'; wide.style.width = '3000px'; wide.textContent = 'x'; return scrolled().length; })()";
    assert_eq!(window.look(wide, &[]).await, 1);
    assert_eq!(window.look("isInSight(one('.wide'))", &[]).await, false);
}
