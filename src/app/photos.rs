//! The pictures of a menu, read once at the start: a menu with one that is missing, too large or not what its name says is
//! one with a flaw.

use super::problem;
use crate::config::{Config, Problem};
use crate::ordering::menu::{Menu, PhotoKind, PhotoName};
use crate::web::photos::{Photo, Photos};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Where they are, beside the menu's file.
const FOLDER: &str = "photos";
/// More than a picture for a telephone needs. All of them are kept in memory.
const LARGEST: usize = 1 << 20;

/// What the menu's options name. The built-in menu has none.
pub(super) fn read(config: &Config, menu: &Menu) -> Result<Photos, Problem> {
    let Some(file) = &config.shop.menu_file else { return Ok(Photos::default()) };
    let folder = file.parent().unwrap_or(Path::new("")).join(FOLDER);
    let named = menu.fields().iter().flat_map(|field| &field.options).filter_map(|option| option.photo.as_ref());
    let read = |name: &PhotoName| Ok((name.as_str().to_owned(), photo(&folder, name)?));
    named.map(read).collect()
}

fn photo(folder: &Path, name: &PhotoName) -> Result<Photo, Problem> {
    let path = folder.join(name.as_str());
    let wrong = |what: String| problem("MENU_FILE", format!("names a picture that {what}: {}", path.display()));
    let mut bytes = Vec::new();
    // One byte more than may be there tells a file that is too large, whatever grows meanwhile.
    let read = File::open(&path).and_then(|file| file.take(LARGEST as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| wrong(format!("cannot be read ({error})")))?;
    if bytes.len() > LARGEST {
        return Err(wrong(format!("is larger than {LARGEST} bytes")));
    }
    if !begins_like(name.kind(), &bytes) {
        return Err(wrong("is not what its ending says".to_owned()));
    }
    Ok(Photo { bytes: bytes.into(), media_type: name.kind().media_type() })
}

/// Whether a file begins like one of this kind: browsers are told what it is and do not look for themselves.
fn begins_like(kind: PhotoKind, bytes: &[u8]) -> bool {
    let at = |place: usize, mark: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(mark));
    match kind {
        PhotoKind::Jpeg => at(0, b"\xff\xd8\xff"),
        PhotoKind::Png => at(0, b"\x89PNG\r\n\x1a\n"),
        PhotoKind::Webp => at(0, b"RIFF") && at(8, b"WEBP"),
        PhotoKind::Avif => at(4, b"ftypavif") || at(4, b"ftypavis"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_there_and_small_and_what_it_is_called() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).expect("written");
        write("good.png", b"\x89PNG\r\n\x1a\n and so on");
        write("most.jpg", &[&b"\xff\xd8\xff"[..], &vec![0; LARGEST - 3]].concat());
        write("large.jpg", &[&b"\xff\xd8\xff"[..], &vec![0; LARGEST - 2]].concat());
        write("page.webp", b"<script>");
        write("a.webp", b"RIFF\0\0\0\0WEBPVP8 ");
        write("a.avif", b"\0\0\0\x20ftypavif");
        write("empty.avif", b"");
        std::fs::create_dir(dir.path().join("folder.png")).expect("a folder");
        let look = |name: &str| photo(dir.path(), &PhotoName::parse(name).expect("a name"));
        for (name, media_type) in
            [("good.png", "image/png"), ("most.jpg", "image/jpeg"), ("a.webp", "image/webp"), ("a.avif", "image/avif")]
        {
            assert_eq!(look(name).expect(name).media_type, media_type);
        }
        for (name, why) in [
            ("large.jpg", "larger than"),
            ("page.webp", "its ending"),
            ("empty.avif", "its ending"),
            ("folder.png", "cannot be read"),
            ("missing.png", "cannot be read"),
        ] {
            let problem = look(name).err().unwrap_or_else(|| panic!("{name} is none"));
            assert_eq!(problem.name, "MENU_FILE");
            assert!(problem.message.contains(why) && problem.message.contains(name), "{}", problem.message);
        }
    }
}
