//! The lock file beside a socket file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rosn_base::Addr;
use rosn_net::BindError;

/// A lock (flock(2)) on `<path>.lock`. Dropping it removes the file and then releases it; the system releases it when
/// the process dies, so a file that is left behind is locked by nobody.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock for the socket at `socket`, without waiting.
    pub(super) fn take(socket: &Path) -> Result<Self, BindError> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let addr = || Addr::Unix(socket.to_path_buf());
        let denied = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => BindError::Denied { addr: addr(), source },
            _ => BindError::Other { addr: addr(), source },
        };
        loop {
            let file = open(&path).map_err(denied)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(BindError::InUse { addr: addr(), holder: None });
                }
                Err(TryLockError::Error(source)) => return Err(denied(source)),
            }
            // Who had it may have removed the file between the two calls: then the lock is on a file that nobody sees.
            if is_at(&file, &path) {
                return Ok(Self { path, file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            // Where that fails, the file is left behind, which does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // A link would have a file made, or locked, that is somewhere else.
    if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_symlink()) {
        let text = format!("a symbolic link is in the way: {}", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    // A lock needs no right to write, but creating the file does.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o644).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (held.dev(), held.ino()) == (there.dev(), there.ino())
}
