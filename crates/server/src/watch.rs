//! Follows the files of a configuration by their content.
//!
//! Polling sees what notification misses: an editor that writes a new file and renames it, a symbolic
//! link that is pointed elsewhere (Kubernetes), a network file system.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the files are looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// What was seen of the files.
pub(crate) struct Watch {
    paths: Vec<PathBuf>,
    seen: u64,
}

impl Watch {
    /// Follows these files and directories from their present content on.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        let seen = fingerprint(&paths);
        Self { paths, seen }
    }

    /// Whether it follows these.
    pub(crate) fn is_of(&self, paths: &[PathBuf]) -> bool {
        self.paths == paths
    }

    /// Follows these from now on. Where they are the same as before, nothing that happens in the
    /// meantime is missed.
    pub(crate) fn follow(&mut self, paths: &[PathBuf]) {
        if !self.is_of(paths) {
            *self = Self::new(paths.to_vec());
        }
    }

    /// Whether the content is another one than at the last call.
    pub(crate) fn has_changed(&mut self) -> bool {
        let now = fingerprint(&self.paths);
        std::mem::replace(&mut self.seen, now) != now
    }
}

fn fingerprint(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        hash(path, &mut hasher);
    }
    hasher.finish()
}

/// A file by its content, a directory by those of its files; what cannot be read counts as absent.
fn hash(path: &Path, hasher: &mut impl Hasher) {
    path.hash(hasher);
    if path.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_file())
            .collect();
        entries.sort();
        for entry in entries {
            entry.hash(hasher);
            std::fs::read(entry).ok().hash(hasher);
        }
    } else {
        std::fs::read(path).ok().hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn sees_edits_renames_and_new_files() {
        let folder = tempfile::tempdir().unwrap();
        let (file, included) = (folder.path().join("a.json"), folder.path().join("routers"));
        fs::write(&file, "1").unwrap();
        fs::create_dir(&included).unwrap();
        let mut watch = Watch::new(vec![file.clone(), included.clone()]);
        assert!(!watch.has_changed());
        fs::write(&file, "1").unwrap();
        assert!(!watch.has_changed(), "the same content again");
        fs::write(&file, "2").unwrap();
        assert!(watch.has_changed());
        fs::write(folder.path().join("new"), "3").unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        assert!(watch.has_changed(), "an editor's way to save");
        fs::write(included.join("b.json"), "{}").unwrap();
        assert!(watch.has_changed());
        fs::remove_file(included.join("b.json")).unwrap();
        assert!(watch.has_changed());
        assert!(!watch.has_changed());
        fs::write(&file, "4").unwrap();
        watch.follow(&[file.clone(), included]);
        assert!(watch.has_changed(), "the same paths: a change while reloading is not missed");
        fs::write(&file, "5").unwrap();
        watch.follow(std::slice::from_ref(&file));
        assert!(!watch.has_changed(), "other paths: their present content");
    }
}
