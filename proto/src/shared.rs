//! Slices that many hold and nobody changes.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use triomphe::ThinArc;

/// A slice that lives as long as anybody holds it. Cloning it copies nothing, and it is one pointer wide, where an `Arc` of a slice
/// takes two: a tree holds millions.
pub struct Shared<T>(ThinArc<(), T>);

impl<T> Shared<T> {
    /// Whether both are the same slice, not only alike.
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.as_ptr(), other.as_ptr())
    }

    /// How many hold it.
    pub fn holders(&self) -> usize {
        ThinArc::strong_count(&self.0)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Shared<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0.slice
    }
}

impl<T> Borrow<[T]> for Shared<T> {
    fn borrow(&self) -> &[T] {
        self
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Shared<T> {}

/// As the slice, by which it may be looked up.
impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Copy> From<&[T]> for Shared<T> {
    fn from(slice: &[T]) -> Self {
        Self(ThinArc::from_header_and_slice((), slice))
    }
}

impl<T> From<Vec<T>> for Shared<T> {
    fn from(list: Vec<T>) -> Self {
        Self(ThinArc::from_header_and_iter((), list.into_iter()))
    }
}

impl<T, const N: usize> From<[T; N]> for Shared<T> {
    fn from(list: [T; N]) -> Self {
        Self(ThinArc::from_header_and_iter((), list.into_iter()))
    }
}

impl<T> FromIterator<T> for Shared<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        items.into_iter().collect::<Vec<T>>().into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn it_is_one_pointer_wide_also_if_there_may_be_none() {
        assert_eq!(size_of::<Option<Shared<u8>>>(), size_of::<usize>());
    }

    #[test]
    fn it_is_found_by_what_it_holds() {
        let lists = HashSet::from([Shared::from([1, 2, 3])]);
        assert!(lists.contains([1, 2, 3].as_slice()));
        assert!(!lists.contains([1, 2].as_slice()));
    }

    #[test]
    fn a_clone_is_the_same() {
        let one = Shared::from(b"abc".as_slice());
        let (same, alike) = (one.clone(), Shared::from(vec![b'a', b'b', b'c']));
        assert!(one.is(&same) && !one.is(&alike) && one == alike);
        assert_eq!((one.holders(), alike.holders(), &*alike), (2, 1, b"abc".as_slice()));
        assert!(Shared::<u8>::from([]).is_empty());
    }
}
