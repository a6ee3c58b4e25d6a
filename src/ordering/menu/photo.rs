//! The names of pictures: what may stand in a menu, in a path and in a file system alike. Knows no folder and no file.

/// The longest name, in bytes.
const LONGEST: usize = 80;

/// The name of a picture's file, with an ending that says what it is. It names a file of one folder and nothing else: no
/// separator, and no dot at its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PhotoName {
    name: String,
    kind: PhotoKind,
}

/// What a picture is coded as: formats that every browser shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhotoKind {
    /// `jpg` or `jpeg`.
    Jpeg,
    /// `png`.
    Png,
    /// `webp`.
    Webp,
    /// `avif`.
    Avif,
}

impl PhotoName {
    /// The name, if it is one.
    pub fn parse(name: &str) -> Option<Self> {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        let (stem, ending) = name.rsplit_once('.')?;
        let kind = match ending.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => PhotoKind::Jpeg,
            "png" => PhotoKind::Png,
            "webp" => PhotoKind::Webp,
            "avif" => PhotoKind::Avif,
            _ => return None,
        };
        let is_name = is_plain && !stem.is_empty() && !stem.starts_with('.') && name.len() <= LONGEST;
        is_name.then(|| Self { name: name.to_owned(), kind })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// What its ending says.
    pub fn kind(&self) -> PhotoKind {
        self.kind
    }
}

impl PhotoKind {
    /// As HTTP names it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_of_one_folder_and_a_picture() {
        for (name, media_type) in [
            ("taro.jpg", "image/jpeg"),
            ("Taro-2.JPEG", "image/jpeg"),
            ("black_milk.tea.png", "image/png"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
        ] {
            let name = PhotoName::parse(name).expect(name);
            assert_eq!(name.kind().media_type(), media_type);
        }
        let long = format!("{}.jpg", "x".repeat(LONGEST));
        for none in [
            "",
            "taro",
            ".jpg",
            "..jpg",
            "../taro.jpg",
            "/etc/taro.jpg",
            "a\\b.jpg",
            "a b.jpg",
            "ä.jpg",
            "taro.jpg\0",
            "taro.svg",
            "taro.jpg.",
            "C:taro.jpg",
            &long,
        ] {
            assert_eq!(PhotoName::parse(none), None, "{none:?}");
        }
    }
}
