//! `rosn cert`: what it makes is taken by OpenSSL.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use rosn_tests::Rosn;
use tempfile::TempDir;

fn cert(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Rosn::command();
    command.arg("cert").args(arguments).arg("--dir").arg(folder).output().unwrap()
}

fn made(folder: &Path, arguments: &[&str]) -> String {
    let output = cert(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = cert(folder, arguments);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn one_command_makes_an_authority_and_a_certificate_of_it() {
    let folder = TempDir::new().unwrap();
    // A folder that is not there yet.
    let folder = folder.path().join("certs");
    let said = made(&folder, &["a.test", "127.0.0.1", "*.b.test", "spiffe://td/a", "me@a.test"]);
    assert!(said.contains("curl --cacert") && said.contains("a.test.pem"), "{said}");
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["a.test.key", "a.test.pem", "ca.key", "ca.pem"]);
    for (name, mode) in [("ca.key", 0o600), ("a.test.key", 0o600)] {
        let found = fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
    for purpose in ["sslserver", "sslclient"] {
        let verified = openssl(
            &folder,
            &["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "a.test.pem"],
        );
        assert_eq!(verified, "a.test.pem: OK\n");
    }
    let shown =
        openssl(&folder, &["x509", "-in", "a.test.pem", "-noout", "-ext", "subjectAltName"]);
    for name in [
        "DNS:a.test",
        "IP Address:127.0.0.1",
        "DNS:*.b.test",
        "URI:spiffe://td/a",
        "email:me@a.test",
    ] {
        assert!(shown.contains(name), "{shown}");
    }
}

#[test]
fn later_runs_use_the_authority_and_replace_nothing_unasked() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    made(folder, &["a.test"]);
    let authority = fs::read(folder.join("ca.pem")).unwrap();
    let first = fs::read(folder.join("a.test.pem")).unwrap();
    made(folder, &["b.test", "--rsa"]);
    openssl(folder, &["verify", "-CAfile", "ca.pem", "a.test.pem", "b.test.pem"]);
    let key = openssl(folder, &["x509", "-in", "b.test.pem", "-noout", "-text"]);
    assert!(key.contains("Public-Key: (2048 bit)"), "{key}");

    let said = refused(folder, &["a.test"]);
    assert!(said.contains("a.test.pem is there already") && said.contains("--force"), "{said}");
    assert_eq!(fs::read(folder.join("a.test.pem")).unwrap(), first);
    made(folder, &["a.test", "--force"]);
    assert_ne!(fs::read(folder.join("a.test.pem")).unwrap(), first);
    assert_eq!(fs::read(folder.join("ca.pem")).unwrap(), authority);
    let key = fs::metadata(folder.join("a.test.key")).unwrap().permissions().mode();
    assert_eq!(key & 0o777, 0o600);
    let of_certificate = openssl(folder, &["x509", "-in", "a.test.pem", "-noout", "-pubkey"]);
    assert_eq!(openssl(folder, &["pkey", "-in", "a.test.key", "-pubout"]), of_certificate);

    let said = refused(folder, &["ca"]);
    assert!(said.contains("authority's own files"), "{said}");
    let said = refused(folder, &["no name"]);
    assert!(said.contains("`no name` is no name for a certificate"), "{said}");
    fs::remove_file(folder.join("ca.key")).unwrap();
    let said = refused(folder, &["c.test"]);
    assert!(said.contains("without its key nothing can be issued"), "{said}");
    assert!(!folder.join("c.test.pem").exists() && !folder.join("c.test.key").exists());
}

#[test]
fn an_expired_one_can_be_made() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let said = made(folder, &["old.test", "--expired"]);
    assert!(said.contains("expired a day ago"), "{said}");
    let arguments = ["verify", "-CAfile", "ca.pem", "old.test.pem"];
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("certificate has expired"));
}
