//! `domainsocket`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod tcp_support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rosn_config::checked::{DomainSocketSettings, StreamSettings, TransportSettings};
use tcp_support::{any, certificate, dial, exchange, listen, pair, tls_pair, try_listen};

fn settings(own: DomainSocketSettings) -> StreamSettings {
    let transport = TransportSettings::DomainSocket(own);
    StreamSettings { transport, ..StreamSettings::default() }
}

fn at(path: &Path) -> StreamSettings {
    settings(DomainSocketSettings { path: path.to_path_buf(), ..DomainSocketSettings::default() })
}

fn lock(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.lock", path.display()))
}

#[tokio::test]
async fn bytes_pass_and_the_files_go_with_the_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let (client, server) = pair(&at(&path), &at(&path)).await;
    exchange(client, server.stream, 4 << 20).await;
    // `pair` has dropped the listener.
    assert!(!path.exists() && !lock(&path).exists());

    let listener = listen(&at(&path));
    assert!(path.exists() && lock(&path).exists());
    drop(listener);
    assert!(!path.exists() && !lock(&path).exists());
}

#[tokio::test]
async fn tls_runs_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, dialer) = tls_pair(&certificate(&["a.test"]), "a.test");
    let mut settings = (at(&folder.path().join("a.sock")), at(&folder.path().join("a.sock")));
    (settings.0.tls, settings.1.tls) = (Some(listener), Some(dialer));
    let (client, server) = pair(&settings.0, &settings.1).await;
    exchange(client, server.stream, 1 << 20).await;
}

#[tokio::test]
async fn the_mode_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let own = DomainSocketSettings {
        path: path.clone(),
        mode: Some(0o660),
        ..DomainSocketSettings::default()
    };
    let _listener = listen(&settings(own));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
}

#[tokio::test]
async fn a_second_listener_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let _listener = listen(&at(&path));
    let error = try_listen(&at(&path)).map(drop).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(path.exists() && lock(&path).exists());
    dial(&at(&path), &any()).await.unwrap();
}

#[tokio::test]
async fn what_a_crash_leaves_behind_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    // Dropping a listener of the standard library leaves its file, as a crash does.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    std::fs::write(lock(&path), b"").unwrap();
    let (client, server) = pair(&at(&path), &at(&path)).await;
    exchange(client, server.stream, 1000).await;
}

#[tokio::test]
async fn a_file_that_is_no_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    std::fs::write(&path, b"precious").unwrap();
    assert!(try_listen(&at(&path)).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert!(!lock(&path).exists());
}

#[tokio::test]
async fn a_lock_file_that_is_a_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (dir.path().join("s"), dir.path().join("elsewhere"));
    std::os::unix::fs::symlink(&elsewhere, lock(&path)).unwrap();
    for _ in 0..2 {
        let error = try_listen(&at(&path)).map(drop).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        // With a target it is no better.
        let _ = std::fs::write(&elsewhere, b"");
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn a_path_is_needed() {
    let error = try_listen(&at(Path::new(""))).map(drop).unwrap_err().to_string();
    assert!(error.contains("path"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn abstract_names_are_the_same_only_with_the_same_padding() {
    let name = format!("rosn-test-{}", std::process::id());
    let own = |padding| {
        settings(DomainSocketSettings {
            path: name.clone().into(),
            is_abstract: true,
            padding,
            mode: None,
        })
    };
    for padding in [false, true] {
        let (client, server) = pair(&own(padding), &own(padding)).await;
        exchange(client, server.stream, 100_000).await;
    }
    let _padded = listen(&own(true));
    dial(&own(false), &any()).await.unwrap_err();
    dial(&own(true), &any()).await.unwrap();
    let held = std::fs::read_to_string("/proc/net/unix").unwrap();
    assert!(held.contains(&format!("@{name}@@@@")), "{name}");
}
