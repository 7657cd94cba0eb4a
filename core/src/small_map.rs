//! [`SmallMap`] and [`SmallSet`]: ordered maps and sets of few entries, as vectors in order.
//!
//! They are for what is small by its nature, as brokers, voters and links are, never for what clients fill. Finding is a binary search, and an entry
//! in the middle moves those behind it. Each pair of types costs a tenth of the code that a `BTreeMap` of them does.

use std::borrow::Borrow;
use std::mem::{replace, take};

/// An ordered map of few entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmallMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> SmallMap<K, V> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// In order of keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// In order of keys.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> + ExactSizeIterator {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// In order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(key, _)| key)
    }

    /// In order of keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(_, value)| value)
    }

    /// In order of keys.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// In order.
    pub fn into_keys(self) -> impl DoubleEndedIterator<Item = K> + ExactSizeIterator {
        self.entries.into_iter().map(|(key, _)| key)
    }

    /// In order of keys.
    pub fn into_values(self) -> impl DoubleEndedIterator<Item = V> + ExactSizeIterator {
        self.entries.into_iter().map(|(_, value)| value)
    }

    /// Keeps what this is true of.
    pub fn retain(&mut self, mut keeps: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keeps(key, value));
    }

    /// The entry of the least key.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.entries.first().map(|(key, value)| (key, value))
    }

    /// The entry of the greatest key.
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.entries.last().map(|(key, value)| (key, value))
    }

    /// Takes the entry of the least key.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.entries.is_empty()).then(|| self.entries.remove(0))
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.entries.binary_search_by(|(own, _)| own.borrow().cmp(key))
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    /// The value of a key.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// Whether a key is there.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Sets a value; the one before it.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => self.entries.get_mut(at).map(|(_, own)| replace(own, value)),
            Err(at) => {
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes what this is true of.
    pub fn take_if(&mut self, mut is_wanted: impl FnMut(&K, &V) -> bool) -> Vec<(K, V)> {
        self.entries.extract_if(.., |(key, value)| is_wanted(key, value)).collect()
    }

    /// The last entry before a key.
    pub fn last_before(&self, key: &K) -> Option<(&K, &V)> {
        let at = self.entries.partition_point(|(own, _)| own < key).checked_sub(1)?;
        self.entries.get(at).map(|(key, value)| (key, value))
    }

    /// Takes the entries from a key on.
    pub fn split_off(&mut self, from: &K) -> Self {
        let at = self.entries.partition_point(|(own, _)| own < from);
        Self { entries: self.entries.split_off(at) }
    }

    /// Takes a value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        Some(self.entries.remove(at).1)
    }

    /// The value of a key, made if it is not there.
    pub fn or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(&key) {
            Ok(at) => at,
            Err(at) => {
                self.entries.insert(at, (key, value()));
                at
            }
        };
        // It was found, or put there.
        #[allow(clippy::indexing_slicing)]
        &mut self.entries[at].1
    }

    /// The value of a key, the default one if it is not there.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(key, V::default)
    }
}

impl<K: Ord, V> Extend<(K, V)> for SmallMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        entries.into_iter().for_each(|(key, value)| _ = self.insert(key, value));
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SmallMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K, V> IntoIterator for SmallMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a SmallMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = std::iter::Map<std::slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

impl<'a, K, V> IntoIterator for &'a mut SmallMap<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = std::iter::Map<std::slice::IterMut<'a, (K, V)>, fn(&'a mut (K, V)) -> (&'a K, &'a mut V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }
}

/// An ordered set of few members.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmallSet<T> {
    members: Vec<T>,
}

impl<T> Default for SmallSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> SmallSet<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { members: Vec::new() }
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.members.clear();
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.members.iter()
    }

    /// The least.
    pub fn first(&self) -> Option<&T> {
        self.members.first()
    }

    /// The greatest.
    pub fn last(&self) -> Option<&T> {
        self.members.last()
    }

    /// Takes the least.
    pub fn pop_first(&mut self) -> Option<T> {
        (!self.members.is_empty()).then(|| self.members.remove(0))
    }

    /// Keeps what this is true of.
    pub fn retain(&mut self, keeps: impl FnMut(&T) -> bool) {
        self.members.retain(keeps);
    }

    /// All of them; none are left.
    pub fn take(&mut self) -> Vec<T> {
        take(&mut self.members)
    }
}

impl<T: Ord> SmallSet<T> {
    fn find<Q: Ord + ?Sized>(&self, member: &Q) -> Result<usize, usize>
    where
        T: Borrow<Q>,
    {
        self.members.binary_search_by(|own| own.borrow().cmp(member))
    }

    /// Whether this is a member.
    pub fn contains<Q: Ord + ?Sized>(&self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.find(member).is_ok()
    }

    /// Takes in a member; false if it was one.
    pub fn insert(&mut self, member: T) -> bool {
        let found = self.find(&member);
        if let Err(at) = found {
            self.members.insert(at, member);
        }
        found.is_err()
    }

    /// Takes out a member; false if it was none.
    pub fn remove<Q: Ord + ?Sized>(&mut self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        let found = self.find(member);
        found.map(|at| self.members.remove(at)).is_ok()
    }
}

impl<T: Ord> Extend<T> for SmallSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, members: I) {
        members.into_iter().for_each(|member| _ = self.insert(member));
    }
}

impl<T: Ord> FromIterator<T> for SmallSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(members: I) -> Self {
        let mut set = Self::new();
        set.extend(members);
        set
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SmallSet<T> {
    fn from(members: [T; N]) -> Self {
        members.into_iter().collect()
    }
}

impl<T> IntoIterator for SmallSet<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a SmallSet<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_small_map_does_what_a_tree_does() {
        let mut rng = Rng::from_seed(1);
        let (mut small, mut tree) = (SmallMap::new(), BTreeMap::new());
        for _ in 0..2_000 {
            let (key, value) = (rng.below(30), rng.below(1_000));
            match rng.below(8) {
                0..3 => assert_eq!(small.insert(key, value), tree.insert(key, value)),
                3 => assert_eq!(small.remove(&key), tree.remove(&key)),
                4 => assert_eq!(small.or_insert_with(key, || value), tree.entry(key).or_insert(value)),
                5 => assert_eq!(small.pop_first(), tree.pop_first()),
                6 if value < 20 => assert!(small.split_off(&key).into_iter().eq(tree.split_off(&key))),
                6 if value < 40 => {
                    let taken: Vec<_> = tree.extract_if(.., |own, _| *own % 3 == 0).collect();
                    assert_eq!(small.take_if(|own, _| *own % 3 == 0), taken);
                }
                _ => assert_eq!((small.get(&key), small.len()), (tree.get(&key), tree.len())),
            }
            assert!(small.iter().eq(tree.iter()));
        }
        assert_eq!(tree.iter().rev().map(|(k, v)| (*k, *v)).collect::<SmallMap<_, _>>(), small);
    }

    #[test]
    fn a_small_set_does_what_a_tree_does() {
        let mut rng = Rng::from_seed(2);
        let (mut small, mut tree) = (SmallSet::new(), BTreeSet::new());
        for _ in 0..1_000 {
            let member = rng.below(20);
            match rng.below(3) {
                0 => assert_eq!(small.insert(member), tree.insert(member)),
                1 => assert_eq!(small.remove(&member), tree.remove(&member)),
                _ => assert_eq!(small.contains(&member), tree.contains(&member)),
            }
            assert!(small.iter().eq(tree.iter()));
        }
    }
}
