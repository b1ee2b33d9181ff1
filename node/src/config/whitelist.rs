//! Which four-letter words an operator allows.

/// The words of `4lw.commands.whitelist`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whitelist {
    words: Vec<String>,
}

impl Whitelist {
    /// Reads a list such as `ruok, srvr`; `*` allows every word.
    pub fn parse(list: &str) -> Self {
        Self {
            words: list
                .split(',')
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty())
                .collect(),
        }
    }

    /// The same, and one more word.
    #[must_use]
    pub fn and(mut self, word: &str) -> Self {
        self.words.push(word.to_owned());
        self
    }

    /// Whether this word is answered. ZooKeeper's own scripts need `srvr`, so that one always is.
    pub fn allows(&self, word: &str) -> bool {
        word == "srvr" || self.words.iter().any(|allowed| allowed == word || allowed == "*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, allowed: &[&str], refused: &[&str]) {
        let whitelist = Whitelist::parse(list);
        for word in allowed {
            assert!(whitelist.allows(word), "`{list}` should allow {word}");
        }
        for word in refused {
            assert!(!whitelist.allows(word), "`{list}` should refuse {word}");
        }
    }

    #[test]
    fn a_list_allows_what_it_names() {
        check("ruok, srvr", &["ruok", "srvr"], &["mntr", "*", ""]);
        check("*", &["ruok", "mntr"], &[]);
        check("ruok", &["ruok", "srvr"], &["mntr"]);
        check("", &["srvr"], &["ruok", ""]);
    }
}
