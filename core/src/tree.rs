//! Maps and sets from iterators, entry by entry: what `collect` does for them brings a sort of its own for each type, which weighs in the page.

use std::collections::{BTreeMap, BTreeSet};

/// What is iterated over, in order of its keys; of two with the same key the last counts.
pub trait IntoTree: Iterator + Sized {
    /// Pairs as a map.
    fn into_map<K: Ord, V>(self) -> BTreeMap<K, V>
    where
        Self: Iterator<Item = (K, V)>,
    {
        let mut map = BTreeMap::new();
        map.extend(self);
        map
    }

    /// Keys as a set.
    fn into_set(self) -> BTreeSet<Self::Item>
    where
        Self::Item: Ord,
    {
        let mut set = BTreeSet::new();
        set.extend(self);
        set
    }
}

impl<I: Iterator> IntoTree for I {}
