//! Top-level znodes, by whose names ZooKeeper counts what is read and written.
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use proto::limits::NAMESPACES_MEASURED_MAX;

use crate::chance::Hashing;
use crate::metrics::Spread;

/// What ZooKeeper reckons a stat to take, in bytes.
const STAT_BYTES: usize = 68;

/// The top-level znodes that have been read or written, each with a number that stays its own.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    names: RwLock<Names>,
    /// Bytes that writes came to, by namespace. Told by whoever applies them, and so by one thread.
    written: Mutex<Vec<Spread>>,
}

#[derive(Debug, Default)]
struct Names {
    by_name: HashMap<Arc<str>, Namespace, Hashing>,
    in_order: Vec<Arc<str>>,
}

/// The number of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Namespace(usize);

impl Namespace {
    /// Its place among all.
    pub(super) fn among(self, spreads: &mut Vec<Spread>) -> &mut Spread {
        if spreads.len() <= self.0 {
            spreads.resize(self.0 + 1, Spread::default());
        }
        &mut spreads[self.0]
    }
}

/// `a` of `/a/b`; nothing of the root.
pub(super) fn top(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    let name = name.split_once('/').map_or(name, |(top, _)| top);
    (!name.is_empty()).then_some(name)
}

/// What ZooKeeper counts for a read or a write of so much data at a path.
pub(super) fn reckoned(path: &str, data: usize, with_stat: bool) -> u64 {
    (path.len() + data + if with_stat { STAT_BYTES } else { 0 }) as u64
}

impl Namespaces {
    /// The number of a top-level znode; `None` if there are too many to be counted one by one.
    pub(super) fn number(&self, name: &str) -> Option<Namespace> {
        if let Some(known) = self.names.read().by_name.get(name) {
            return Some(*known);
        }
        let names = &mut *self.names.write();
        if names.in_order.len() >= NAMESPACES_MEASURED_MAX {
            return None;
        }
        let name: Arc<str> = name.into();
        let number = Namespace(names.in_order.len());
        Some(*names.by_name.entry(name).or_insert_with_key(|name| {
            names.in_order.push(name.clone());
            number
        }))
    }

    /// So many bytes of data were written at a path, by whatever client of the ensemble.
    pub(crate) fn wrote(&self, path: &str, data: usize) {
        if let Some(namespace) = top(path).and_then(|name| self.number(name)) {
            namespace.among(&mut self.written.lock()).add(reckoned(path, data, false), 1);
        }
    }

    /// What was written, by number.
    pub(super) fn written(&self) -> Vec<Spread> {
        self.written.lock().clone()
    }

    /// The same with names, without those of which nothing was counted; in order of names.
    pub(super) fn named(&self, spreads: Vec<Spread>) -> Vec<(String, Spread)> {
        let names = self.names.read();
        let all = names.in_order.iter().zip(spreads);
        let mut named: Vec<_> = all
            .filter(|(_, spread)| spread.count > 0)
            .map(|(name, spread)| (name.to_string(), spread))
            .collect();
        named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        named
    }

    /// Begins anew to count what is written.
    pub(super) fn reset(&self) {
        self.written.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_top_level_znode() {
        for (path, expected) in
            [("/", None), ("/a", Some("a")), ("/a/b/c", Some("a")), ("", None), ("a", None), ("//", None)]
        {
            assert_eq!(top(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_written_is_counted_by_name() {
        let namespaces = Namespaces::default();
        namespaces.wrote("/b/c", 10);
        namespaces.wrote("/a", 1);
        namespaces.wrote("/b", 0);
        namespaces.wrote("/", 99);
        let told = namespaces.named(namespaces.written());
        let told: Vec<_> = told.iter().map(|(name, it)| (name.as_str(), it.count, it.sum)).collect();
        assert_eq!(told, [("a", 1, 3), ("b", 2, 16)]);
        namespaces.reset();
        assert_eq!(namespaces.named(namespaces.written()), []);
    }

    #[test]
    fn there_is_an_end_to_them() {
        let namespaces = Namespaces::default();
        (0..NAMESPACES_MEASURED_MAX).for_each(|n| assert!(namespaces.number(&n.to_string()).is_some()));
        assert_eq!(namespaces.number("one more"), None);
        assert_eq!(namespaces.number("7"), Some(Namespace(7)));
    }
}
