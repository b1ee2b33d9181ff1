//! The text of a JAAS file, in which Java's servers and clients find their login modules.
//!
//! ```text
//! Server {
//!     org.apache.zookeeper.server.auth.DigestLoginModule required
//!         user_bob="secret";
//! };
//! ```
use std::collections::BTreeMap;
use std::path::Path;

use super::error::{ConfigError, Place};

/// One login module of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    /// The name of its class.
    pub class: String,
    /// Its options, in their order.
    pub options: Vec<(String, String)>,
}

/// The sections of a JAAS file, by name; `file` is what errors call it.
///
/// # Errors
/// Names the line that is not as Java's are. Values are never shown: they may be passwords.
pub(super) fn parse(text: &str, file: &Path) -> Result<BTreeMap<String, Vec<Module>>, ConfigError> {
    let mut words = Words { rest: text, line: 1, file };
    let mut sections = BTreeMap::new();
    while let Some(word) = words.next()? {
        let Word::Text(name) = word else { return Err(words.wrong("the name of a section must stand here")) };
        words.expect('{')?;
        let mut modules = Vec::new();
        while let Some(module) = words.module()? {
            modules.push(module);
        }
        words.expect(';')?;
        if sections.insert(name, modules).is_some() {
            return Err(words.wrong("a section of this name stands above"));
        }
    }
    Ok(sections)
}

/// A word, or one of `{ } ; =`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Text(String),
    Mark(char),
}

struct Words<'a> {
    rest: &'a str,
    line: usize,
    file: &'a Path,
}

impl Words<'_> {
    /// The next module of a section; `None` where the section ends.
    fn module(&mut self) -> Result<Option<Module>, ConfigError> {
        let class = match self.next()? {
            Some(Word::Mark('}')) => return Ok(None),
            Some(Word::Text(class)) => class,
            _ => return Err(self.wrong("the class of a login module or `}` must stand here")),
        };
        match self.next()? {
            Some(Word::Text(flag)) if is_flag(&flag) => {}
            _ => {
                let demand =
                    "`required`, `requisite`, `sufficient` or `optional` must stand behind the class";
                return Err(self.wrong(demand));
            }
        }
        let mut options = Vec::new();
        loop {
            match self.next()? {
                Some(Word::Mark(';')) => return Ok(Some(Module { class, options })),
                Some(Word::Text(name)) => {
                    self.expect('=')?;
                    let Some(Word::Text(value)) = self.next()? else {
                        return Err(self.wrong("a value must stand behind `=`"));
                    };
                    options.push((name, value));
                }
                _ => return Err(self.wrong("an option or `;` must stand here")),
            }
        }
    }

    fn expect(&mut self, mark: char) -> Result<(), ConfigError> {
        match self.next()? {
            Some(Word::Mark(found)) if found == mark => Ok(()),
            _ => Err(self.wrong(&format!("`{mark}` must stand here"))),
        }
    }

    fn next(&mut self) -> Result<Option<Word>, ConfigError> {
        self.skip_blanks()?;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        if "{};=".contains(first) {
            self.advance(first.len_utf8());
            return Ok(Some(Word::Mark(first)));
        }
        if first == '"' {
            return self.quoted().map(Some);
        }
        let ends = |c: char| c.is_whitespace() || "{};=\"".contains(c);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        self.advance(end);
        Ok(Some(Word::Text(word)))
    }

    fn skip_blanks(&mut self) -> Result<(), ConfigError> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.advance(blanks);
            if self.rest.starts_with("//") {
                self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else {
                    return Err(self.wrong("a comment does not end"));
                };
                self.advance(end + 2);
            } else if blanks == 0 {
                return Ok(());
            }
        }
    }

    /// Between quotes, with the escapes of Java that are not numbers.
    fn quoted(&mut self) -> Result<Word, ConfigError> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.advance(at + 1);
                    return Ok(Word::Text(text));
                }
                '\n' => break,
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                other => text.push(other),
            }
        }
        Err(self.wrong("a quote does not end"))
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn wrong(&self, message: &str) -> ConfigError {
        ConfigError::at(&Place::Line(self.file.to_owned(), self.line), message)
    }
}

fn is_flag(word: &str) -> bool {
    ["required", "requisite", "sufficient", "optional"].iter().any(|flag| flag.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match parse(text, Path::new("jaas.conf")) {
            Ok(sections) => sections
                .iter()
                .map(|(name, modules)| {
                    let modules = modules.iter().map(|Module { class, options }| {
                        let options: String =
                            options.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                        format!(" [{class}{options}]")
                    });
                    format!("{name}{}\n", modules.collect::<String>())
                })
                .collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn sections_have_modules_and_modules_have_options() {
        let text = "/* of\n two lines */ Server {\n // bob\n  a.Digest required\n    user_bob=\"b;o}b\" user_x = plain;\n\
            \n  a.Digest OPTIONAL \"user_e v\"=\"a\\\"b\\\\\";\n};\nClient { b.Krb sufficient; };\nNone {};";
        let expected = "Client [b.Krb]\nNone\nServer [a.Digest user_bob=b;o}b user_x=plain] [a.Digest user_e v=a\"b\\]\n";
        assert_eq!(read(text), expected);
        assert_eq!(read(""), "");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_without_its_value() {
        for (text, expected) in [
            (
                "Server {\n a.D required\n user_bob=\"secret\"\n};",
                "jaas.conf:4: an option or `;` must stand here",
            ),
            (
                "Server {\n a.D user_bob=\"secret\";\n};",
                "jaas.conf:2: `required`, `requisite`, `sufficient` or `optional` must stand behind the class",
            ),
            ("Server {\n a.D required user_bob=;\n};", "jaas.conf:2: a value must stand behind `=`"),
            ("Server {\n a.D required user_bob=\"secret;\n};", "jaas.conf:2: a quote does not end"),
            ("Server {\n}\nClient {};", "jaas.conf:3: `;` must stand here"),
            ("Server {};\nServer {};", "jaas.conf:2: a section of this name stands above"),
            ("/* no end", "jaas.conf:1: a comment does not end"),
            ("Server", "jaas.conf:1: `{` must stand here"),
            ("Server {", "jaas.conf:1: the class of a login module or `}` must stand here"),
            ("{", "jaas.conf:1: the name of a section must stand here"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
