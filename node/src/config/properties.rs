//! The text of a `zoo.cfg`, as keys with their values and the lines where they stand.
use std::path::Path;

use java_properties::{LineContent, PropertiesIter};

use super::error::{ConfigError, Place};

/// One key, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    /// The key, with the prefix `zookeeper.` if it was written so.
    pub key: String,
    /// What it is set to, without spaces around.
    pub value: String,
    /// Where.
    pub place: Place,
}

/// Reads the text of a properties file; `file` is what errors call it.
///
/// # Errors
/// Names the line that is not as Java's properties are.
pub(super) fn parse(text: &str, file: &Path) -> Result<Vec<Property>, ConfigError> {
    let lines: Vec<&str> = text.lines().collect();
    // The line break at the end keeps the crate from dropping a last line that ends with a backslash.
    let whole = format!("{text}\n");
    let mut properties = Vec::new();
    for line in PropertiesIter::new_with_encoding(whole.as_bytes(), encoding_rs::UTF_8) {
        match line {
            Ok(line) => {
                let place = Place::Line(file.to_owned(), line.line_number());
                if let LineContent::KVPair(key, value) = line.consume_content() {
                    properties.push(Property {
                        key: key.trim().to_owned(),
                        value: value.trim().to_owned(),
                        place,
                    });
                }
            }
            Err(error) => {
                // The crate looks for escapes in comments too; `# C:\users` is no error to Java.
                let number = error.line_number().unwrap_or(0);
                let line =
                    number.checked_sub(1).and_then(|at| lines.get(at)).map_or("", |line| line.trim_start());
                if !line.starts_with(['#', '!']) {
                    return Err(ConfigError::at(
                        &Place::Line(file.to_owned(), number),
                        "a `\\u` needs four hex digits",
                    ));
                }
            }
        }
    }
    Ok(properties)
}

/// The properties among the flags of a Java launcher: `-Xmx1g -Dzookeeper.skipACL=yes` holds one. Words may be quoted as
/// for a shell; where the quotes do not close, they are taken as they stand.
pub(super) fn from_flags(flags: &str, variable: &'static str) -> Vec<Property> {
    let words = shlex::split(flags).unwrap_or_else(|| flags.split_whitespace().map(str::to_owned).collect());
    words
        .iter()
        .filter_map(|flag| flag.strip_prefix("-D"))
        .map(|definition| {
            let (key, value) = definition.split_once('=').unwrap_or((definition, ""));
            Property { key: key.to_owned(), value: value.to_owned(), place: Place::Variable(variable) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, &str)]) {
        let parsed = parse(text, Path::new("zoo.cfg")).expect("must be read");
        let parsed: Vec<_> =
            parsed.iter().map(|p| (p.place.to_string(), p.key.as_str(), p.value.as_str())).collect();
        let expected: Vec<_> =
            expected.iter().map(|(at, key, value)| (format!("{at}: "), *key, *value)).collect();
        assert_eq!(parsed, expected);
    }

    #[test]
    fn lines_are_those_of_the_file() {
        check(
            "# a comment\n\ntickTime = 2000 \n dataDir:/data\n",
            &[("zoo.cfg:3", "tickTime", "2000"), ("zoo.cfg:4", "dataDir", "/data")],
        );
    }

    #[test]
    fn a_value_may_go_on_in_the_next_line() {
        check("a=1,\\\n  2\nb=3", &[("zoo.cfg:1", "a", "1,2"), ("zoo.cfg:3", "b", "3")]);
        check("a=1\\", &[("zoo.cfg:1", "a", "1")]);
    }

    #[test]
    fn values_may_hold_equals_signs_and_umlauts() {
        check(
            "super=a:b=\ndataDir=/größe\r\n",
            &[("zoo.cfg:1", "super", "a:b="), ("zoo.cfg:2", "dataDir", "/größe")],
        );
    }

    #[test]
    fn a_backslash_in_a_comment_is_no_escape() {
        check("# C:\\users\na=1", &[("zoo.cfg:2", "a", "1")]);
    }

    #[test]
    fn a_broken_escape_is_named() {
        let error = parse("a=1\nb=\\u12", Path::new("zoo.cfg")).expect_err("must be refused");
        assert_eq!(error.to_string(), "zoo.cfg:2: a `\\u` needs four hex digits");
    }

    #[test]
    fn flags_of_the_java_machine_are_passed_over() {
        let flags = from_flags("-Xmx512m -Dzookeeper.skipACL=yes -Djute.maxbuffer=4194304", "JVMFLAGS");
        let flags: Vec<_> = flags.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
        assert_eq!(flags, [("zookeeper.skipACL", "yes"), ("jute.maxbuffer", "4194304")]);
    }

    #[test]
    fn flags_are_quoted_as_for_a_shell() {
        let check = |flags: &str, expected: &[(&str, &str)]| {
            let flags = from_flags(flags, "JVMFLAGS");
            let flags: Vec<_> = flags.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
            assert_eq!(flags, expected);
        };
        check(
            r#""-Da=b c" -Dd='e f'  -D"g h"=i -Dj=k\ l"#,
            &[("a", "b c"), ("d", "e f"), ("g h", "i"), ("j", "k l")],
        );
        check("-Da=\"b -Dc=d", &[("a", "\"b"), ("c", "d")]);
        check("-Da -D= '' -D", &[("a", ""), ("", ""), ("", "")]);
        check(" \t\n", &[]);
    }
}
