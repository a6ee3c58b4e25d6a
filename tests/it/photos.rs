//! Pictures of the menu: served as they are, told of in the menu, and looked at before anybody is let in.

use crate::harness::{TestShop, client};
use bobarista::app::read_config;
use std::path::Path;

/// A JPEG as far as its first bytes tell.
const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 taro";

/// The boba menu with a picture of taro milk tea, as a file of this folder.
fn menu_in(folder: &Path) -> String {
    let menu = include_str!("../../menus/boba.toml");
    let name = "{ name = \"taro milk tea\",";
    assert!(menu.contains(name), "the menu has no {name}");
    let path = folder.join("menu.toml");
    std::fs::write(&path, menu.replacen(name, &format!("{name} photo = \"taro.jpg\","), 1)).expect("a menu");
    path.display().to_string()
}

#[tokio::test]
async fn a_picture_is_named_in_the_menu_and_served_for_a_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let menu = menu_in(folder.path());
    std::fs::create_dir(folder.path().join("photos")).expect("a folder");
    std::fs::write(folder.path().join("photos/taro.jpg"), PICTURE).expect("a picture");
    std::fs::write(folder.path().join("photos/secret.jpg"), PICTURE).expect("a picture");
    let shop = TestShop::open_with([], &[("MENU_FILE", menu.as_str())]).await;

    let options = shop.json("/api/v1/menu").await["fields"][0]["options"].clone();
    assert_eq!(options[0]["photo"], "/photos/taro.jpg");
    assert!(options[1].get("photo").is_none(), "{}", options[1]);
    let served = client().get(shop.url("/photos/taro.jpg")).send().await.expect("an answer");
    assert_eq!(served.status(), 200);
    assert_eq!(served.headers()["content-type"], "image/jpeg");
    assert_eq!(served.headers()["cache-control"], "public, max-age=86400");
    assert_eq!(served.headers()["x-content-type-options"], "nosniff");
    assert_eq!(served.bytes().await.expect("a body"), PICTURE);
    for other in ["secret.jpg", "..%2fmenu.toml", "%2e%2e/menu.toml", "taro.jpg%00", "%ff"] {
        let served = client().get(shop.url(&format!("/photos/{other}"))).send().await.expect("an answer");
        assert_eq!(served.status(), 404, "{other}");
    }
}

#[test]
fn a_menu_whose_picture_is_missing_does_not_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let menu = menu_in(folder.path());
    let lookup = |name: &str| match name {
        "MENU_FILE" => Some(menu.clone()),
        "DEEPGRAM_API_KEY" => Some("key".to_owned()),
        _ => None,
    };
    let error = read_config(&lookup).expect_err("there is no picture").to_string();
    assert!(error.contains("MENU_FILE") && error.contains("taro.jpg"), "{error}");
}
