//! Listen on a unix socket, and keep its file tidy.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rosn_base::Addr;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::BindError;
use crate::ListenOptions;
use crate::holder::unix_holder;

/// A listening unix socket and its file.
#[derive(Debug)]
pub struct UnixBound {
    /// The socket, nonblocking. Workers that share it clone it.
    pub listener: UnixListener,
    /// Keep it for as long as any clone of the listener accepts.
    pub file: SocketFile,
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

/// Listens on a unix socket. `mode` sets the file's permissions, such as `0o660`; without it the
/// umask decides.
///
/// A socket file that nobody listens on, as a crash leaves it, is replaced.
///
/// # Errors
/// [`BindError::InUse`] where someone listens there; [`BindError::Other`] where the path is a file
/// of another kind, which is never removed; see [`BindError`] for the others.
pub fn bind_unix(
    path: &Path,
    mode: Option<u32>,
    options: &ListenOptions,
) -> Result<UnixBound, BindError> {
    listen(path, mode, options).map_err(|source| bind_error(path, source))
}

fn listen(path: &Path, mode: Option<u32>, options: &ListenOptions) -> io::Result<UnixBound> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    if let Err(error) = socket.bind(&address) {
        if Errno::from_io_error(&error) != Some(Errno::ADDRINUSE) || !is_stale(path, &address)? {
            return Err(error);
        }
        fs::remove_file(path)?;
        socket.bind(&address)?;
    }
    let file = SocketFile { path: path.to_path_buf(), identity: identity(path)? };
    if let Some(mode) = mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(UnixBound { listener: OwnedFd::from(socket).into(), file })
}

/// Whether connecting to this socket file is refused.
fn is_stale(path: &Path, address: &SockAddr) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        let text = "a file that is not a socket is in the way";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    // Nonblocking: a listener with a full queue answers EAGAIN at once, and it is alive.
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
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
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => {
            BindError::Denied { addr, transparent: false, source }
        }
        _ => BindError::Other { addr, source },
    }
}

#[cfg(test)]
mod tests;
