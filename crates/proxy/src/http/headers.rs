//! Encodes message heads: fields keep their order and their case, unless an edit changes them.

use std::ops::Range;

use rosn_config::Variables;
use rosn_h1::{Field, Name};
use rosn_route::{Edit, Edits, HeaderAdd};

/// The fields of a head while they are being edited. Reused, so that edits do not allocate.
#[derive(Debug, Default)]
pub(crate) struct HeaderList {
    entries: Vec<Entry>,
    /// Names and values that did not come with the message.
    arena: Vec<u8>,
}

#[derive(Debug)]
enum Entry {
    /// A field as it came, by its index.
    Kept(usize),
    /// A field in the arena.
    New { name: Range<usize>, value: Range<usize> },
}

impl HeaderList {
    /// Starts over with the fields of a message that are not for this hop only.
    pub(crate) fn load(&mut self, fields: &[Field]) {
        self.entries.clear();
        self.arena.clear();
        let kept = fields.iter().enumerate().filter(|(_, field)| !field.hop);
        self.entries.extend(kept.map(|(at, _)| Entry::Kept(at)));
    }

    /// Applies the edits of a route.
    pub(crate) fn edit(&mut self, head: Fields<'_>, edits: &Edits, values: &dyn Variables) {
        for edit in edits.iter() {
            match edit {
                Edit::Add(add) => self.add(head, add, values),
                Edit::Remove(name) => self.remove(head, name.as_bytes()),
            }
        }
    }

    fn add(&mut self, head: Fields<'_>, add: &HeaderAdd, values: &dyn Variables) {
        let name = add.lower_name.as_bytes();
        let existing = self.position(head, name);
        let start = self.arena.len();
        if let (true, Some(at)) = (add.append, existing) {
            // "append" joins with a comma; it does not add a second line.
            match &self.entries[at] {
                Entry::Kept(field) => self.arena.extend_from_slice(head.value(*field)),
                Entry::New { value, .. } => self.arena.extend_from_within(value.clone()),
            }
            if self.arena.len() > start {
                self.arena.push(b',');
            }
        }
        if !add.write_value(values, &mut self.arena) {
            self.arena.truncate(start);
            return;
        }
        let value = start..self.arena.len();
        let Some(at) = existing else {
            let name = self.store(add.name.as_bytes());
            self.entries.push(Entry::New { name, value });
            return;
        };
        let name = match &self.entries[at] {
            Entry::Kept(field) => self.store(head.name(*field)),
            Entry::New { name, .. } => name.clone(),
        };
        self.entries[at] = Entry::New { name, value };
        if !add.append {
            self.remove_after(head, add.lower_name.as_bytes(), at);
        }
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    fn position(&self, head: Fields<'_>, name: &[u8]) -> Option<usize> {
        self.entries.iter().position(|entry| self.is_named(entry, head, name))
    }

    /// Removes all fields of that name.
    pub(crate) fn remove(&mut self, head: Fields<'_>, name: &[u8]) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|entry| !self.is_named(entry, head, name));
        self.entries = entries;
    }

    /// Removes further fields of that name, behind the one at `at`.
    fn remove_after(&mut self, head: Fields<'_>, name: &[u8], at: usize) {
        let mut entries = std::mem::take(&mut self.entries);
        let mut index = 0;
        entries.retain(|entry| {
            index += 1;
            index - 1 <= at || !self.is_named(entry, head, name)
        });
        self.entries = entries;
    }

    fn is_named(&self, entry: &Entry, head: Fields<'_>, name: &[u8]) -> bool {
        let own = match entry {
            Entry::Kept(field) => head.name(*field),
            Entry::New { name, .. } => &self.arena[name.clone()],
        };
        own.eq_ignore_ascii_case(name)
    }

    /// Appends all fields, but not those that `skip` names.
    pub(crate) fn encode(&self, head: Fields<'_>, skip: impl Fn(Name) -> bool, out: &mut Vec<u8>) {
        for entry in &self.entries {
            match entry {
                Entry::Kept(at) if skip(head.fields[*at].id) => {}
                Entry::Kept(at) => out.extend_from_slice(head.fields[*at].line.of(head.bytes)),
                Entry::New { name, value } => {
                    out.extend_from_slice(&self.arena[name.clone()]);
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(&self.arena[value.clone()]);
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
    }
}

/// The fields of a parsed head and the bytes they point into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) fields: &'a [Field],
}

impl<'a> Fields<'a> {
    fn name(self, at: usize) -> &'a [u8] {
        self.fields[at].name.of(self.bytes)
    }

    fn value(self, at: usize) -> &'a [u8] {
        self.fields[at].value.of(self.bytes)
    }

    /// The value of the first field of that name, which is lower case.
    pub(crate) fn find(self, lower_name: &str) -> Option<&'a [u8]> {
        let named =
            |field: &&Field| field.name.of(self.bytes).eq_ignore_ascii_case(lower_name.as_bytes());
        self.fields.iter().find(named).map(|field| field.value.of(self.bytes))
    }

    /// Appends all fields that are not for this hop only, but not those that `skip` names. Lines that
    /// follow each other are copied as one.
    pub(crate) fn encode(self, skip: impl Fn(Name) -> bool, out: &mut Vec<u8>) {
        let mut run: Option<(u32, u32)> = None;
        for field in self.fields {
            if field.hop || skip(field.id) {
                if let Some((start, end)) = run.take() {
                    out.extend_from_slice(&self.bytes[start as usize..end as usize]);
                }
            } else {
                run = Some((run.map_or(field.line.start, |(start, _)| start), field.line.end));
            }
        }
        if let Some((start, end)) = run {
            out.extend_from_slice(&self.bytes[start as usize..end as usize]);
        }
    }
}
