use super::*;
use std::os::unix::net::UnixStream;

fn listen_at(path: &Path) -> Result<UnixBound, BindError> {
    bind_unix(path, &ListenOptions::default())
}

#[test]
fn the_file_goes_with_the_listener() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let bound =
        bind_unix(&path, &ListenOptions { mode: Some(0o620), ..Default::default() }).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
    UnixStream::connect(&path).unwrap();
    assert!(bound.listener.accept().is_ok());
    assert_eq!(bound.file.as_ref().unwrap().path(), path);
    drop(bound);
    assert!(!path.exists());
}

#[test]
fn a_stale_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "std leaves the file behind");
    let _bound = listen_at(&path).unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_live_listener_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b.sock");
    let _live = UnixListener::bind(&path).unwrap();
    let error = listen_at(&path).unwrap_err();
    let BindError::InUse { holder: Some(holder), .. } = &error else { panic!("{error:?}") };
    assert_eq!(holder.pid, std::process::id());
    assert!(error.to_string().starts_with("the unix socket /"), "{error}");
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_live_listener_with_a_full_queue_is_alive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let _live = bind_unix(&path, &ListenOptions { backlog: 0, ..Default::default() }).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    assert!(matches!(listen_at(&path), Err(BindError::InUse { .. })));
}

#[test]
fn other_files_are_never_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("precious");
    fs::write(&path, "data").unwrap();
    let error = listen_at(&path).unwrap_err();
    assert!(error.to_string().ends_with("a file that is not a socket is in the way"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"data");

    // Nor a socket that took the place of ours.
    let path = dir.path().join("a.sock");
    let bound = listen_at(&path).unwrap();
    fs::rename(&path, dir.path().join("old.sock")).unwrap();
    let newer = listen_at(&path).unwrap();
    drop(bound);
    UnixStream::connect(&path).unwrap();
    newer.file.unwrap().keep();
    assert!(path.exists());
}

#[test]
fn says_what_is_wrong() {
    let error = listen_at(Path::new("/nowhere/a.sock")).unwrap_err();
    assert!(error.to_string().contains("No such file or directory"), "{error}");
    let long = "x".repeat(200);
    assert!(matches!(listen_at(Path::new(&long)), Err(BindError::Other { .. })));
}

#[tokio::test]
async fn abstract_names_have_no_file_and_all_their_bytes_count() {
    use std::os::unix::ffi::OsStringExt;
    let name = format!("\0rosn-{}", std::process::id());
    let mut padded = name.clone().into_bytes();
    padded.resize(108, 0);
    let padded = PathBuf::from(std::ffi::OsString::from_vec(padded));
    let plain = listen_at(Path::new(&name)).unwrap();
    let filled = listen_at(&padded).unwrap();
    assert!(plain.file.is_none() && filled.file.is_none());
    let options = crate::DialOptions::default();
    for (bound, path) in [(&plain, Path::new(&name)), (&filled, &padded)] {
        let _stream = crate::dial(&Addr::Unix(path.into()), &options).await.unwrap();
        bound.listener.accept().unwrap();
    }
    let error = listen_at(Path::new(&name)).unwrap_err();
    assert!(error.to_string().starts_with("the unix socket @rosn-"), "{error}");
    drop((plain, filled));
    let error = crate::dial(&Addr::Unix(padded), &options).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().starts_with("cannot connect to unix:@rosn-"), "{error}");
}
