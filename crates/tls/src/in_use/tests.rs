use super::*;
use crate::{Pem, self_signed};

fn server(file: &std::path::Path) -> ServerOptions {
    let pair = self_signed(&["a.test"]).unwrap();
    for (name, pem) in [("leaf.pem", &pair.certificate), ("leaf.key", &pair.key)] {
        let Pem::Inline(text) = pem else { panic!("it is made in memory") };
        std::fs::write(file.join(name), text).unwrap();
    }
    let pem = |name| Pem::File(file.join(name));
    let pair = crate::KeyPair { certificate: pem("leaf.pem"), key: pem("leaf.key") };
    ServerOptions { certificates: vec![pair], ..ServerOptions::default() }
}

#[test]
fn what_is_gone_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (in_use, owner) = (InUse::default(), Arc::from("a"));
    let options = server(folder.path());
    let acceptor = in_use.acceptor(&owner, vec![options.clone()]).unwrap();
    let roots = ClientOptions {
        system_roots: false,
        roots: vec![options.certificates[0].certificate.clone()],
        ..ClientOptions::default()
    };
    let connector = in_use.connector(&owner, &roots, &SystemRoots::default()).unwrap();
    let handles = in_use.list();
    assert_eq!(handles.iter().map(Handle::is_acceptor).collect::<Vec<_>>(), [true, false]);
    assert_eq!(handles.iter().map(|one| one.files().len()).collect::<Vec<_>>(), [2, 1]);
    assert!(handles == in_use.list() && handles[0] != handles[1]);
    drop((acceptor, connector));
    assert!(in_use.list().is_empty());
    // Who still has a handle has nothing of it.
    assert!(handles[0].reload().is_ok() && handles[0].files().is_empty());
}

#[test]
fn a_reload_by_a_handle_is_one_of_what_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let in_use = InUse::default();
    let acceptor = in_use.acceptor(&Arc::from("a"), vec![server(folder.path())]).unwrap();
    let shown = || acceptor.certificates()[0].facts.fingerprint;
    let before = shown();
    server(folder.path());
    in_use.list()[0].reload().unwrap();
    assert_ne!(shown(), before);
    std::fs::remove_file(folder.path().join("leaf.key")).unwrap();
    let now = shown();
    let error = in_use.list()[0].reload().unwrap_err().to_string();
    assert!(error.contains("leaf.key") && shown() == now, "{error}");
}
