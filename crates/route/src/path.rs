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
///
/// Texts and lists of routes lie one behind the other, so that a small virtual host among many
/// takes few lines of cache.
#[derive(Debug, Default)]
pub(crate) struct PathIndex {
    texts: Texts,
    exact: ExactPaths,
    /// Sorted by text.
    prefixes: Box<[Prefix]>,
    searches: Searches,
    others: Box<[u32]>,
}

/// All texts, each with the routes that it leads to, in ascending order.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    routes: Vec<u32>,
}

/// A place in [`Texts`].
#[derive(Debug, Clone, Copy)]
struct Text {
    start: u32,
    end: u32,
    first_route: u32,
    end_route: u32,
}

#[derive(Debug, Default)]
struct ExactPaths {
    /// In lower case.
    table: HashTable<Text>,
    state: RandomState,
    /// For each length of path, by its lowest bits, whether there is one.
    lengths: u64,
}

#[derive(Debug)]
struct Prefix {
    text: Text,
    /// The place of the longest prefix of this prefix.
    parent: Option<u32>,
}

#[derive(Debug, Default)]
struct Searches {
    routes: Box<[u32]>,
    /// In the order of `routes`.
    set: Option<Box<RegexSet>>,
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
                Key::Exact(path) => exact.push((path.to_ascii_lowercase(), number, is_all)),
                Key::Prefix(prefix) => prefixes.push((prefix.to_owned(), number, is_all)),
                Key::Search(pattern) => patterns.push((pattern, number)),
                Key::None => others.push(number),
            }
        }
        let mut texts = Texts::default();
        let exact = ExactPaths::compile(&mut exact, &mut texts);
        let prefixes = compile_prefixes(&mut prefixes, &mut texts);
        texts.bytes.shrink_to_fit();
        texts.routes.shrink_to_fit();
        let searches = Searches::compile(&patterns);
        Self { texts, exact, prefixes, searches, others: others.into() }
    }

    /// The first route that the path leads to and that `accepts` takes.
    ///
    /// `accepts` has to look at everything but prefixes and exact paths without regard to case.
    pub(crate) fn find(&self, path: &[u8], accepts: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut candidates = Candidates::default();
        candidates.add(self.exact.find(path, &self.texts));
        let mut prefix = self.longest_prefix(path);
        while let Some(found) = prefix {
            candidates.add(self.texts.routes(found.text));
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
        let bytes = |prefix: &Prefix| self.texts.bytes(prefix.text);
        let after = self.prefixes.partition_point(|prefix| bytes(prefix) <= path);
        let mut candidate = self.prefixes.get(after.checked_sub(1)?);
        while let Some(prefix) = candidate
            && !path.starts_with(bytes(prefix))
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
type Keyed = (String, u32, bool);

impl Texts {
    fn bytes(&self, text: Text) -> &[u8] {
        &self.bytes[text.start as usize..text.end as usize]
    }

    fn routes(&self, text: Text) -> &[u32] {
        &self.routes[text.first_route as usize..text.end_route as usize]
    }

    /// Adds the text of a group with its routes up to the first that always matches; that one
    /// becomes the bound, behind which nothing is reached.
    fn push(&mut self, group: &[Keyed], bound: &mut u32) -> Text {
        let (start, first_route) = (self.bytes.len(), self.routes.len());
        self.bytes.extend_from_slice(group[0].0.as_bytes());
        for (_, number, is_all) in group {
            if *number > *bound {
                break;
            }
            self.routes.push(*number);
            if *is_all {
                *bound = *number;
            }
        }
        Text {
            start: offset(start),
            end: offset(self.bytes.len()),
            first_route: offset(first_route),
            end_route: offset(self.routes.len()),
        }
    }
}

fn offset(place: usize) -> u32 {
    u32::try_from(place).expect("a configuration is far smaller than 4 GiB")
}

fn compile_prefixes(keyed: &mut [Keyed], texts: &mut Texts) -> Box<[Prefix]> {
    keyed.sort_unstable();
    let mut prefixes: Vec<Prefix> = Vec::new();
    // For each of `prefixes`, the first route at or above it that always matches.
    let mut bounds: Vec<u32> = Vec::new();
    for group in keyed.chunk_by(|(one, ..), (other, ..)| one == other) {
        let mut parent = prefixes.len().checked_sub(1).map(offset);
        while let Some(place) = parent
            && let above = &prefixes[place as usize]
            && !group[0].0.as_bytes().starts_with(texts.bytes(above.text))
        {
            parent = above.parent;
        }
        let mut bound = parent.map_or(u32::MAX, |place| bounds[place as usize]);
        prefixes.push(Prefix { text: texts.push(group, &mut bound), parent });
        bounds.push(bound);
    }
    prefixes.into()
}

impl ExactPaths {
    /// The paths are in lower case.
    fn compile(keyed: &mut [Keyed], texts: &mut Texts) -> Self {
        keyed.sort_unstable();
        let mut paths = Self::default();
        for group in keyed.chunk_by(|(one, ..), (other, ..)| one == other) {
            let mut bound = u32::MAX;
            let text = texts.push(group, &mut bound);
            let hash = |text: &Text| folded_hash(&paths.state, texts.bytes(*text));
            paths.table.insert_unique(hash(&text), text, hash);
            paths.lengths |= Self::length_bit(texts.bytes(text));
        }
        paths
    }

    fn find<'a>(&self, path: &[u8], texts: &'a Texts) -> &'a [u32] {
        if self.lengths & Self::length_bit(path) == 0 {
            return &[];
        }
        let hash = folded_hash(&self.state, path);
        let is_path = |text: &Text| texts.bytes(*text).eq_ignore_ascii_case(path);
        self.table.find(hash, is_path).map_or(&[], |text| texts.routes(*text))
    }

    fn length_bit(path: &[u8]) -> u64 {
        1 << (path.len() % 64)
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
                    .map(Box::new)
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
        assert!(all_found(&keys, "/99/x").is_empty());
    }

    #[test]
    fn routes_behind_one_that_always_matches_are_dropped() {
        let keys = [("/a", true), ("/a", false), ("/", true), ("/a/b", true), ("/", false)];
        let index = PathIndex::compile(keys.into_iter().map(|(k, all)| (Key::Prefix(k), all)));
        let routes: Vec<_> =
            index.prefixes.iter().map(|p| index.texts.routes(p.text).to_vec()).collect();
        assert_eq!(routes, [vec![2], vec![0], vec![]]);
    }
}
