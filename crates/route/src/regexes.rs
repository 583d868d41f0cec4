//! Regular expressions, each compiled once for a whole table.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use regex::bytes::Regex;

/// The patterns compiled so far: in large routers the same few come again and again.
///
/// Patterns are those of Go (RE2), found anywhere in a text. What they look at need not be UTF-8.
#[derive(Default)]
pub(crate) struct Regexes {
    compiled: HashMap<Box<str>, Arc<Regex>, RandomState>,
}

impl Regexes {
    pub(crate) fn compile(&mut self, pattern: &str) -> Result<Arc<Regex>, regex::Error> {
        match self.compiled.entry(pattern.into()) {
            Entry::Occupied(entry) => Ok(Arc::clone(entry.get())),
            Entry::Vacant(entry) => Ok(Arc::clone(entry.insert(Arc::new(Regex::new(pattern)?)))),
        }
    }
}
