//! Paths of znodes: their rules and their arithmetic.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use arcstr::ArcStr;

use crate::Code;

/// A legal path: absolute, no empty, `.` or `..` component, no forbidden character (PROTOCOL, section
/// "Validation"). Cloning it copies nothing, and it is one pointer wide: a tree holds millions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZnodePath(ArcStr);

impl ZnodePath {
    /// The path, if it is legal.
    ///
    /// # Errors
    /// [`Code::BadArguments`] if it is not.
    pub fn parse(path: &str) -> Result<Self, Code> {
        if is_legal(path) { Ok(Self(path.into())) } else { Err(Code::BadArguments) }
    }

    /// The path of a sequential znode: `stem` and the parent's counter, ten characters wide with a minus sign
    /// counted in. The check runs on the whole, so a stem may end in a slash.
    ///
    /// # Errors
    /// [`Code::BadArguments`] if the whole is not legal.
    pub fn with_sequence(stem: &str, counter: i32) -> Result<Self, Code> {
        Self::parse(&format!("{stem}{counter:010}"))
    }

    /// `/`.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parent's path, or `None` for the root.
    pub fn parent(&self) -> Option<&str> {
        parent(&self.0)
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// The parent of a path: what stands before its last slash. `None` for `/` and for what has no slash.
pub fn parent(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        _ if path == "/" => None,
        0 => Some("/"),
        slash => Some(&path[..slash]),
    }
}

/// The proper ancestors of a path, the nearest first, the root last.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(path), |path| parent(path))
}

fn is_legal(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    let Some(rest) = path.strip_prefix('/') else { return false };
    rest.split('/')
        .all(|component| !matches!(component, "" | "." | "..") && !component.chars().any(is_forbidden))
}

/// Characters that no path may hold. Everything above U+FFFF is among them: Java sees it as surrogates.
fn is_forbidden(c: char) -> bool {
    matches!(u32::from(c), 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..)
}

impl Deref for ZnodePath {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ZnodePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ZnodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for ZnodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, legal: bool) {
        assert_eq!(ZnodePath::parse(path).is_ok(), legal, "{path:?}");
    }

    #[test]
    fn legal_paths() {
        for path in ["/", "/a", "/a/b", "/a.b", "/...", "/..a", "/å/ü", "/a b", "/\u{ffef}"] {
            check(path, true);
        }
    }

    #[test]
    fn illegal_paths() {
        for path in [
            "",
            "a",
            "a/b",
            "//",
            "/a/",
            "/a//b",
            "/.",
            "/..",
            "/a/.",
            "/a/../b",
            "/\0",
            "/\u{1}",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{fffd}",
            "/\u{1f980}",
        ] {
            check(path, false);
        }
    }

    #[test]
    fn a_sequence_is_ten_characters_wide() {
        assert_eq!(ZnodePath::with_sequence("/locks/n_", 7).unwrap().as_str(), "/locks/n_0000000007");
        assert_eq!(ZnodePath::with_sequence("/a/", 12).unwrap().as_str(), "/a/0000000012");
        assert_eq!(ZnodePath::with_sequence("/a/", i32::MIN).unwrap().as_str(), "/a/-2147483648");
        assert_eq!(ZnodePath::with_sequence("/a/", -5).unwrap().as_str(), "/a/-000000005");
    }

    #[test]
    fn parents_and_names() {
        assert_eq!(parent("/"), None);
        assert_eq!(parent("a"), None);
        assert_eq!(parent("/a"), Some("/"));
        assert_eq!(parent("/a/b"), Some("/a"));
        assert_eq!(ZnodePath::parse("/a/b").unwrap().name(), "b");
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
    }
}
