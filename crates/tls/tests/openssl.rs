//! Both ends against OpenSSL's.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rosn_tls::{
    Acceptor, ClientAuth, ClientOptions, ClientTrust, Connector, KeyPair, Pem, ServerOptions,
    Session, TlsError, Version,
};
use support::{Authority, inline, showing, text};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A listener that says `hello` to whoever comes, and its address. What was agreed on comes in turn.
async fn listening(acceptor: Acceptor) -> (String, tokio::sync::mpsc::UnboundedReceiver<Session>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = sender.send(stream.session());
            let _ = stream.write_all(b"hello\n").await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    (address, receiver)
}

/// What `openssl s_client` prints.
async fn s_client(folder: &Path, address: &str, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new("openssl")
        .args(["s_client", "-connect", address, "-CAfile", "ca.pem", "-ign_eof"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    let output = output.await.unwrap();
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn write(folder: &Path, name: &str, pem: &Pem) -> Pem {
    let path = folder.join(name);
    fs::write(&path, text(pem)).unwrap();
    Pem::File(path)
}

fn rsa(authority: &rcgen::Issuer<'static, rcgen::KeyPair>, names: &[&str]) -> KeyPair {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let params = rcgen::CertificateParams::new(names).unwrap();
    inline(&params.signed_by(&key, authority).unwrap(), &key)
}

#[tokio::test]
async fn rsa_and_ecdsa_stand_side_by_side() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    write(folder.path(), "ca.pem", &authority.pem);
    let pairs = [rsa(authority.issuer(), &["a.test"]), authority.issue(&["a.test"])];
    let (address, _sessions) =
        listening(Acceptor::new(&showing(&[&pairs[0], &pairs[1]])).unwrap()).await;
    for (arguments, signed) in [
        (&["-tls1_3"][..], "Peer signature type: ECDSA"),
        (&["-tls1_3", "-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA256"], "Peer signature type: ECDSA"),
        (&["-tls1_3", "-sigalgs", "RSA-PSS+SHA256"], "Peer signature type: RSA-PSS"),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "Peer signature type: RSA-PSS"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "Peer signature type: ECDSA"),
    ] {
        let arguments = [arguments, &["-servername", "a.test", "-verify_return_error"]].concat();
        let said = s_client(folder.path(), &address, &arguments).await;
        assert!(said.contains(signed) && said.contains("hello"), "{arguments:?}: {said}");
        assert!(said.contains("Verification: OK"), "{said}");
    }
    for old in ["-tls1", "-tls1_1"] {
        let said = s_client(folder.path(), &address, &[old, "-cipher", "ALL:@SECLEVEL=0"]).await;
        assert!(!said.contains("hello") && said.contains("alert"), "{said}");
    }
}

#[tokio::test]
async fn sessions_are_resumed_in_both_versions() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    write(folder.path(), "ca.pem", &authority.pem);
    let pair = authority.issue(&["a.test"]);
    let (address, mut sessions) = listening(Acceptor::new(&showing(&[&pair])).unwrap()).await;
    for (argument, version) in [("-tls1_2", Version::Tls12), ("-tls1_3", Version::Tls13)] {
        let mut resumed = Vec::new();
        for file in ["-sess_out", "-sess_in"] {
            let arguments = [argument, "-servername", "a.test", file, argument];
            let said = s_client(folder.path(), &address, &arguments).await;
            assert!(said.contains("hello"), "{said}");
            let session = sessions.recv().await.unwrap();
            assert_eq!(session.version(), Some(version));
            resumed.push(session.is_resumed());
        }
        assert_eq!(resumed, [false, true], "{version}");
    }
}

#[tokio::test]
async fn clients_certificates_are_asked_for_and_known() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    write(folder.path(), "ca.pem", &authority.pem);
    let me = authority.issue(&["me"]);
    write(folder.path(), "me.pem", &me.certificate);
    write(folder.path(), "me.key", &me.key);
    let trust = ClientTrust { roots: vec![authority.pem.clone()], ..ClientTrust::default() };
    let client_auth = ClientAuth::Required(trust);
    let options = ServerOptions { client_auth, ..showing(&[&authority.issue(&["a.test"])]) };
    let (address, mut sessions) = listening(Acceptor::new(&options).unwrap()).await;
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [version, "-servername", "a.test", "-cert", "me.pem", "-key", "me.key"];
        let said = s_client(folder.path(), &address, &arguments).await;
        assert!(said.contains("hello"), "{said}");
        let session = sessions.recv().await.unwrap();
        let peer = session.peer_certificate().unwrap();
        assert!(peer.is_verified() && peer.facts().unwrap().has_name("me"));
        let said = s_client(folder.path(), &address, &arguments[..3]).await;
        assert!(!said.contains("hello"), "{said}");
    }
}

/// An answer of a real responder about a certificate that is registered with this status.
fn ocsp(folder: &Path, stem: &str, status: &str) -> Pem {
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let leaf = format!("{stem}.pem");
    let serial = run(&["x509", "-in", &leaf, "-noout", "-serial"]);
    let serial = serial.trim().trim_start_matches("serial=");
    let revoked = if status == "R" { "200101000000Z" } else { "" };
    let index = format!("{status}\t490101000000Z\t{revoked}\t{serial}\tunknown\t/CN={stem}\n");
    fs::write(folder.join("index.txt"), index).unwrap();
    let file = format!("{stem}.ocsp");
    run(&[
        "ocsp",
        "-index",
        "index.txt",
        "-rsigner",
        "ca.pem",
        "-rkey",
        "ca.key",
        "-CA",
        "ca.pem",
        "-issuer",
        "ca.pem",
        "-cert",
        &leaf,
        "-respout",
        &file,
        "-ndays",
        "2",
    ]);
    Pem::File(folder.join(file))
}

#[tokio::test]
async fn ocsp_responses_are_stapled_to_what_they_speak_of() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    write(folder.path(), "ca.pem", &authority.pem);
    fs::write(folder.path().join("ca.key"), authority.issuer().key().serialize_pem()).unwrap();
    let pairs = ["a.test", "b.test"].map(|name| {
        let pair = authority.issue(&[name]);
        write(folder.path(), &format!("{name}.pem"), &pair.certificate);
        pair
    });
    let response = ocsp(folder.path(), "b.test", "V");
    let with = |response: &Pem, pairs: &[&KeyPair]| ServerOptions {
        ocsp_responses: vec![response.clone()],
        ..showing(pairs)
    };
    let acceptor = Acceptor::new(&with(&response, &[&pairs[0], &pairs[1]])).unwrap();
    let used = acceptor.certificates();
    assert!(used[0].ocsp_until.is_none() && used[1].ocsp_until.is_some());
    let until = used[1].ocsp_until.unwrap();
    acceptor.check_dates(until).unwrap();
    let late = acceptor.check_dates(until + std::time::Duration::from_secs(1)).unwrap_err();
    assert!(matches!(late, TlsError::BadOcsp { .. }), "{late}");

    let (address, _sessions) = listening(acceptor).await;
    for (name, stapled) in [("b.test", true), ("a.test", false)] {
        let said = s_client(folder.path(), &address, &["-status", "-servername", name]).await;
        assert_eq!(said.contains("OCSP Response Status: successful"), stapled, "{said}");
        assert_eq!(said.contains("OCSP response: no response sent"), !stapled, "{said}");
    }

    let error = |response: &Pem, pairs: &[&KeyPair]| {
        Acceptor::new(&with(response, pairs)).unwrap_err().to_string()
    };
    let others = error(&response, &[&pairs[0]]);
    assert!(
        others.contains("b.test.ocsp") && others.contains("none of the certificates"),
        "{others}"
    );
    let revoked = error(&ocsp(folder.path(), "b.test", "R"), &[&pairs[1]]);
    assert!(revoked.contains("revoked"), "{revoked}");
    let key = error(&Pem::File(folder.path().join("ca.key")), &[&pairs[1]]);
    assert!(key.contains("not an OCSP response"), "{key}");
}

/// `openssl s_server` that sends what it is told on its input.
struct Server {
    process: std::process::Child,
    address: String,
}

impl Server {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert", "a.pem", "-key", "a.key"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // `ACCEPT 127.0.0.1:40123`
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let line = lines.find(|line| line.starts_with("ACCEPT")).unwrap();
        // It would stop at a pipe that nobody reads.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address: line.split(' ').nth(1).unwrap().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_dialer_shows_its_certificate_and_resumes_sessions() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let authority = Authority::new();
    write(folder, "ca.pem", &authority.pem);
    let pair = authority.issue(&["a.test"]);
    write(folder, "a.pem", &pair.certificate);
    write(folder, "a.key", &pair.key);
    for version in ["-tls1_2", "-tls1_3"] {
        let mut server = Server::start(
            folder,
            &[
                version,
                "-CAfile",
                "ca.pem",
                "-Verify",
                "3",
                "-verify_return_error",
                "-alpn",
                "x,h2",
            ],
        );
        let connector = Connector::new(&ClientOptions {
            alpn: vec!["h2".to_owned()],
            ..authority.client(vec![authority.issue(&["me"])])
        })
        .unwrap();
        for resumed in [false, true] {
            let stream = TcpStream::connect(&server.address).await.unwrap();
            let mut stream = connector.connect("a.test", stream).await.unwrap();
            server.process.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
            let mut read = [0; 6];
            stream.read_exact(&mut read).await.unwrap();
            let session = stream.session();
            assert_eq!((&read, session.alpn()), (b"hello\n", Some(&b"h2"[..])));
            assert_eq!(session.is_resumed(), resumed, "{version}");
            assert!(session.peer_certificate().unwrap().is_verified());
            stream.shutdown().await.unwrap();
        }
        let without = Connector::new(&authority.client(Vec::new())).unwrap();
        let stream = TcpStream::connect(&server.address).await.unwrap();
        let error = match without.connect("a.test", stream).await {
            Err(error) => error,
            Ok(mut stream) => stream.read_exact(&mut [0]).await.unwrap_err(),
        };
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
