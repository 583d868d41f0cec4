//! Listen on a unix socket, and keep its file tidy.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rosn_base::Addr;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::holder::unix_holder;
use crate::hook::{Bound, Call, Opening, Owner, Role, SocketKind, nonblocking};
use crate::{BindError, ListenOptions};

/// A listening unix socket and its file.
#[derive(Debug)]
pub struct UnixBound {
    /// The socket, nonblocking. Workers that share it clone it ([`Bound::try_clone_with`]).
    pub listener: Bound<UnixListener>,
    /// Keep it for as long as any clone of the listener accepts. A name of the abstract namespace has none.
    pub file: Option<SocketFile>,
}

/// The file of a unix socket; dropping it removes the file, unless another socket has taken the
/// path in the meantime.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode, which tell our file from one that replaced it.
    identity: (u64, u64),
}

impl SocketFile {
    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file where it is: the socket lives on in another process.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Where that fails, the next start finds a stale file and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on a unix socket. [`ListenOptions::mode`] sets the file's permissions, such as `0o660`; without it the umask
/// decides.
///
/// A socket file that nobody listens on, as a crash leaves it, is replaced. A path that begins with NUL is a name of
/// Linux's abstract namespace: all its bytes count, up to 108 with the first, and there is no file.
///
/// # Errors
/// [`BindError::InUse`] where someone listens there; [`BindError::Other`] where the path is a file
/// of another kind, which is never removed; see [`BindError`] for the others.
#[track_caller]
pub fn bind_unix(path: &Path, options: &ListenOptions) -> Result<UnixBound, BindError> {
    listen(path, options, &options.owner()).map_err(|source| bind_error(path, source))
}

fn listen(path: &Path, options: &ListenOptions, owner: &Owner<'_>) -> io::Result<UnixBound> {
    let address = SockAddr::unix(path)?;
    let is_abstract = path.as_os_str().as_bytes().first() == Some(&0);
    let addr = Addr::Unix(path.to_path_buf());
    let opening = Opening::new(SocketKind::Unix, false, Role::Listener, owner, true)?;
    opening.control(&addr, options.control.as_ref())?;
    let bind = || match opening.socket.bind(&address) {
        Err(error) if !is_abstract => replace_stale(&opening.socket, path, &address, error),
        bound => bound,
    };
    opening.tracked.call(Call::Bind, Some(&addr), bind)?;
    let file = if is_abstract {
        None
    } else {
        Some(SocketFile { path: path.to_path_buf(), identity: identity(path)? })
    };
    if let (Some(mode), Some(_)) = (options.mode, &file) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    opening.listen(&addr, options.backlog)?;
    let Opening { socket, tracked } = opening;
    let listener = UnixListener::from(OwnedFd::from(socket));
    Ok(UnixBound { listener: Bound::new(listener, tracked), file })
}

/// Binds after all if what is in the way is a socket file that nobody listens on.
fn replace_stale(
    socket: &Socket,
    path: &Path,
    address: &SockAddr,
    error: io::Error,
) -> io::Result<()> {
    if Errno::from_io_error(&error) != Some(Errno::ADDRINUSE) || !is_stale(path, address)? {
        return Err(error);
    }
    fs::remove_file(path)?;
    socket.bind(address)
}

/// Whether connecting to this socket file is refused.
fn is_stale(path: &Path, address: &SockAddr) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        let text = "a file that is not a socket is in the way";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    // Nonblocking: a listener with a full queue answers EAGAIN at once, and it is alive.
    let probe = nonblocking(Domain::UNIX, Type::STREAM, None)?;
    let refused = |error: io::Error| Errno::from_io_error(&error) == Some(Errno::CONNREFUSED);
    Ok(probe.connect(address).is_err_and(refused))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

fn bind_error(path: &Path, source: io::Error) -> BindError {
    let addr = Addr::Unix(path.to_path_buf());
    match Errno::from_io_error(&source) {
        Some(Errno::ADDRINUSE) => BindError::InUse { addr, holder: unix_holder(path) },
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => BindError::Denied { addr, source },
        _ => BindError::Other { addr, source },
    }
}

#[cfg(test)]
mod tests;
