//! Which routes of a virtual host could be meant, found without looking at each.
//!
//! The first route of the file that matches wins, so that what each kind of look-up finds is
//! walked through in the order of the file, and what else a route asks for is looked at only
//! when its turn comes.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use regex::bytes::{RegexSet, RegexSetBuilder, SetMatches};

/// From this many patterns on, all are searched for at once.
const SET_FROM: usize = 8;
/// The most memory a compiled set may take, in bytes; above, patterns are tried one by one.
const SET_SIZE: usize = 32 << 20;
/// How many lists of candidates are merged without an allocation.
const INLINE: usize = 8;

/// How a route is found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'a> {
    /// The path is this one, without regard to case.
    Exact(&'a str),
    /// The path starts with this.
    Prefix(&'a str),
    /// This pattern is found in the path.
    Search(&'a str),
    /// The path does not tell.
    None,
}

/// The routes of a virtual host by path. Routes are numbers in the order of the file.
#[derive(Debug)]
pub(crate) struct PathIndex {
    exact: ExactPaths,
    /// Sorted by text.
    prefixes: Box<[Prefix]>,
    searches: Searches,
    others: Box<[u32]>,
}

#[derive(Debug, Default)]
struct ExactPaths {
    table: HashTable<ExactPath>,
    state: RandomState,
    longest: usize,
}

#[derive(Debug)]
struct ExactPath {
    /// In lower case.
    text: Box<[u8]>,
    routes: Box<[u32]>,
}

#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    /// The place of the longest prefix of this prefix.
    parent: Option<u32>,
    routes: Box<[u32]>,
}

#[derive(Debug, Default)]
struct Searches {
    routes: Box<[u32]>,
    /// In the order of `routes`.
    set: Option<RegexSet>,
}

impl PathIndex {
    /// Compiles keys in the order of routes, each with whether the key is all the route asks for.
    pub(crate) fn compile<'a>(keys: impl Iterator<Item = (Key<'a>, bool)>) -> Self {
        let mut exact = Vec::new();
        let mut prefixes = Vec::new();
        let mut patterns = Vec::new();
        let mut others = Vec::new();
        for (number, (key, is_all)) in (0..).zip(keys) {
            match key {
                Key::Exact(path) => exact.push((path.as_bytes(), number, is_all)),
                Key::Prefix(prefix) => prefixes.push((prefix.as_bytes(), number, is_all)),
                Key::Search(pattern) => patterns.push((pattern, number)),
                Key::None => others.push(number),
            }
        }
        Self {
            exact: ExactPaths::compile(&exact),
            prefixes: compile_prefixes(&mut prefixes),
            searches: Searches::compile(&patterns),
            others: others.into(),
        }
    }

    /// The first route that the path leads to and that `accepts` takes.
    ///
    /// `accepts` has to look at everything but prefixes and exact paths without regard to case.
    pub(crate) fn find(&self, path: &[u8], accepts: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut candidates = Candidates::default();
        candidates.add(self.exact.find(path));
        let mut prefix = self.longest_prefix(path);
        while let Some(found) = prefix {
            candidates.add(&found.routes);
            prefix = self.parent(found);
        }
        candidates.add(&self.others);
        if self.searches.routes.is_empty() {
            return candidates.first(accepts);
        }
        self.find_among_searches(candidates, path, accepts)
    }

    fn find_among_searches<'a>(
        &'a self,
        mut candidates: Candidates<'a>,
        path: &[u8],
        mut accepts: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        candidates.add(&self.searches.routes);
        let mut found = None;
        candidates
            .first(|number| self.searches.may_match(number, path, &mut found) && accepts(number))
    }

    /// The longest prefix that the path starts with.
    fn longest_prefix(&self, path: &[u8]) -> Option<&Prefix> {
        // Every prefix of the path is a prefix of the last text that sorts before the path too:
        // whatever sorts between a prefix and the path starts with that prefix.
        let after = self.prefixes.partition_point(|prefix| *prefix.text <= *path);
        let mut candidate = self.prefixes.get(after.checked_sub(1)?);
        while let Some(prefix) = candidate
            && !path.starts_with(&prefix.text)
        {
            candidate = self.parent(prefix);
        }
        candidate
    }

    fn parent(&self, prefix: &Prefix) -> Option<&Prefix> {
        prefix.parent.map(|place| &self.prefixes[place as usize])
    }
}

/// A text, the route, and whether it is all the route asks for.
type Keyed<'a> = (&'a [u8], u32, bool);

fn compile_prefixes(keyed: &mut [Keyed<'_>]) -> Box<[Prefix]> {
    keyed.sort_unstable();
    let mut prefixes: Vec<Prefix> = Vec::new();
    // For each of `prefixes`, the first route at or above it that always matches.
    let mut bounds: Vec<u32> = Vec::new();
    for group in keyed.chunk_by(|(one, ..), (other, ..)| one == other) {
        let text = group[0].0;
        let mut parent = prefixes.len().checked_sub(1);
        while let Some(place) = parent
            && !text.starts_with(&prefixes[place].text)
        {
            parent = prefixes[place].parent.map(|place| place as usize);
        }
        let mut bound = parent.map_or(u32::MAX, |place| bounds[place]);
        let routes = reachable(group, &mut bound);
        let parent = parent.map(|place| u32::try_from(place).expect("route numbers fit u32"));
        prefixes.push(Prefix { text: text.into(), parent, routes });
        bounds.push(bound);
    }
    prefixes.into()
}

/// The routes up to the first that always matches, which becomes the bound.
fn reachable(group: &[Keyed<'_>], bound: &mut u32) -> Box<[u32]> {
    let mut routes = Vec::new();
    for (_, number, is_all) in group {
        if *number > *bound {
            break;
        }
        routes.push(*number);
        if *is_all {
            *bound = *number;
        }
    }
    routes.into()
}

impl ExactPaths {
    fn compile(keyed: &[Keyed<'_>]) -> Self {
        let mut folded: Vec<_> = keyed
            .iter()
            .map(|(path, number, is_all)| (path.to_ascii_lowercase(), *number, *is_all))
            .collect();
        folded.sort_unstable();
        let mut paths = Self::default();
        for group in folded.chunk_by(|(one, ..), (other, ..)| one == other) {
            let text: Box<[u8]> = group[0].0.as_slice().into();
            let keyed: Vec<Keyed<'_>> = group.iter().map(|(p, n, all)| (&**p, *n, *all)).collect();
            let mut bound = u32::MAX;
            let routes = reachable(&keyed, &mut bound);
            let Self { table, state, longest } = &mut paths;
            *longest = text.len().max(*longest);
            let path = ExactPath { text, routes };
            let hash = folded_hash(state, &path.text);
            table.insert_unique(hash, path, |path| folded_hash(state, &path.text));
        }
        paths
    }

    fn find(&self, path: &[u8]) -> &[u32] {
        if self.table.is_empty() || path.len() > self.longest {
            return &[];
        }
        let hash = folded_hash(&self.state, path);
        let found = self.table.find(hash, |known| known.text.eq_ignore_ascii_case(path));
        found.map_or(&[], |path| &path.routes)
    }
}

/// The hash of the path in lower case, without a copy of the whole.
fn folded_hash(state: &RandomState, path: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    let mut buffer = [0; 64];
    for chunk in path.chunks(buffer.len()) {
        let folded = &mut buffer[..chunk.len()];
        folded.copy_from_slice(chunk);
        folded.make_ascii_lowercase();
        hasher.write(folded);
    }
    hasher.finish()
}

impl Searches {
    fn compile(patterns: &[(&str, u32)]) -> Self {
        let routes = patterns.iter().map(|(_, number)| *number).collect();
        let set = (patterns.len() >= SET_FROM)
            .then(|| {
                RegexSetBuilder::new(patterns.iter().map(|(pattern, _)| pattern))
                    .size_limit(SET_SIZE)
                    .build()
                    .ok()
            })
            .flatten();
        Self { routes, set }
    }

    /// False where it is known that the pattern of a route is not in the path.
    fn may_match(&self, number: u32, path: &[u8], found: &mut Option<SetMatches>) -> bool {
        let Some(set) = &self.set else { return true };
        let Ok(place) = self.routes.binary_search(&number) else { return true };
        found.get_or_insert_with(|| set.matches(path)).matched(place)
    }
}

/// Ascending lists of routes, merged while they are walked through.
#[derive(Default)]
struct Candidates<'a> {
    inline: [&'a [u32]; INLINE],
    used: usize,
    spilled: Vec<&'a [u32]>,
}

impl<'a> Candidates<'a> {
    fn add(&mut self, routes: &'a [u32]) {
        if routes.is_empty() {
            return;
        }
        match self.inline.get_mut(self.used) {
            Some(place) => {
                *place = routes;
                self.used += 1;
            }
            None => self.spilled.push(routes),
        }
    }

    fn first(mut self, mut accepts: impl FnMut(u32) -> bool) -> Option<u32> {
        loop {
            let lists = self.inline[..self.used].iter_mut().chain(&mut self.spilled);
            let next = lists.filter(|list| !list.is_empty()).min_by_key(|list| list[0])?;
            let number = next[0];
            *next = &next[1..];
            if accepts(number) {
                return Some(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_found(keys: &[Key<'_>], path: &str) -> Vec<u32> {
        let index = PathIndex::compile(keys.iter().map(|key| (*key, false)));
        let mut seen = Vec::new();
        let none = index.find(path.as_bytes(), |number| {
            seen.push(number);
            false
        });
        assert_eq!(none, None);
        seen
    }

    #[test]
    fn candidates_come_in_the_order_of_the_file() {
        use Key::*;
        let keys = [
            Prefix("/a/b"),
            Exact("/A/b/C"),
            Prefix("/"),
            None,
            Prefix("/a/x"),
            Search("b/c"),
            Prefix("/a/b/c/d"),
            Exact("/a/b/c"),
            Prefix(""),
        ];
        assert_eq!(all_found(&keys, "/a/b/c"), [0, 1, 2, 3, 5, 7, 8]);
        assert_eq!(all_found(&keys, "/a/b"), [0, 2, 3, 5, 8]);
        assert_eq!(all_found(&keys, "/a/xyz"), [2, 3, 4, 5, 8]);
        assert_eq!(all_found(&keys, "/A/B/c/d"), [2, 3, 5, 8]);
        assert_eq!(all_found(&keys, ""), [3, 5, 8]);
    }

    #[test]
    fn a_chain_of_prefixes_longer_than_the_inline_lists() {
        let texts: Vec<String> = (0..40).map(|length| "x".repeat(length)).collect();
        let keys: Vec<_> = texts.iter().rev().map(|text| Key::Prefix(text)).collect();
        assert_eq!(all_found(&keys, &"x".repeat(30)), (9..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_set_of_patterns_leaves_out_what_does_not_match() {
        let patterns: Vec<String> = (0..SET_FROM * 2).map(|n| format!("^/{n}/")).collect();
        let keys: Vec<_> = patterns.iter().map(|pattern| Key::Search(pattern)).collect();
        assert_eq!(all_found(&keys, "/9/x"), [9]);
        assert_eq!(all_found(&keys, "/99/x"), []);
    }

    #[test]
    fn routes_behind_one_that_always_matches_are_dropped() {
        let keys = [("/a", true), ("/a", false), ("/", true), ("/a/b", true), ("/", false)];
        let index = PathIndex::compile(keys.into_iter().map(|(k, all)| (Key::Prefix(k), all)));
        let routes: Vec<_> = index.prefixes.iter().map(|prefix| prefix.routes.to_vec()).collect();
        assert_eq!(routes, [vec![2], vec![0], vec![]]);
    }
}
