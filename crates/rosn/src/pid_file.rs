//! The file with the process number, which is also the lock that keeps a second process out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A pid file that this process holds. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Takes the file and writes this process's number into it.
    ///
    /// A file that a dead process left behind is taken over: the lock says whether its owner lives,
    /// the number in it is not trusted. A reader sees the old number or the new one, or at the very
    /// first an empty file.
    ///
    /// # Errors
    ///
    /// Where another process holds it, or it cannot be written.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        let failed =
            || format!("cannot write the pid file {} (`pid` names another place)", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(failed)?;
        }
        loop {
            let file = open(path).with_context(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => bail!(held(path)),
                Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
            }
            // Its owner may have removed it between our open and our lock.
            if !is_at(&file, path) {
                continue;
            }
            let number = format!("{}\n", std::process::id());
            file.write_all_at(number.as_bytes(), 0).with_context(failed)?;
            file.set_len(number.len() as u64).with_context(failed)?;
            return Ok(Self { path: path.to_owned(), file });
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Whoever put another file there owns that one.
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What a pid file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The process number in it.
    pub(crate) pid: i32,
    /// Whether a live rosn holds the file.
    pub(crate) locked: bool,
}

/// Reads a pid file.
///
/// # Errors
///
/// Where it cannot be read, or holds no process number.
pub(crate) fn holder(path: &Path) -> io::Result<Holder> {
    let mut file = File::open(path)?;
    let mut text = String::new();
    file.by_ref().take(64).read_to_string(&mut text)?;
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
    let Some(pid) = pid.filter(|pid| *pid > 0) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "there is no process number in it"));
    };
    let locked = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    Ok(Holder { pid, locked })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

fn held(path: &Path) -> String {
    let by = match holder(path) {
        Ok(holder) => format!("the process {}", holder.pid),
        Err(_) => "another process".to_owned(),
    };
    format!(
        "this configuration is running already: {by} holds the pid file {}\n  \
         stop it with `rosn stop`, or give this one another `pid` and `uds_dir`",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_number_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/mosn.pid");
        let pid = PidFile::take(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        let holder = holder(&path).unwrap();
        assert_eq!(holder, Holder { pid: std::process::id() as i32, locked: true });
        let refused = PidFile::take(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(pid);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_file_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mosn.pid");
        fs::write(&path, "1234567890\nold\n").unwrap();
        assert_eq!(holder(&path).unwrap(), Holder { pid: 1_234_567_890, locked: false });
        let _pid = PidFile::take(&path).unwrap();
        assert_eq!(holder(&path).unwrap().pid, std::process::id() as i32);
    }

    #[test]
    fn another_owners_file_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mosn.pid");
        let pid = PidFile::take(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(pid);
        assert!(path.exists());
    }

    #[test]
    fn rubbish_is_no_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mosn.pid");
        for text in ["", "\n12", "x", "-4", "0", "99999999999999", "\u{0}"] {
            fs::write(&path, text).unwrap();
            assert_eq!(holder(&path).unwrap_err().kind(), io::ErrorKind::InvalidData, "{text:?}");
        }
        assert!(PidFile::take(Path::new("/proc/none/mosn.pid")).is_err());
    }
}
