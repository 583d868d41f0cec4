//! `rosn cert`: an authority and certificates of it, for trying things out.

mod files;
mod issue;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, bail};

use crate::Exit;
use crate::cli::CertArgs;
use crate::output;
use files::Kept;
use issue::{Authority, Leaf, Name};

pub(crate) fn run(args: &CertArgs) -> Exit {
    match make(args, SystemTime::now()) {
        Ok(made) => {
            output::print(&made);
            Exit::Ok
        }
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            Exit::Usage
        }
    }
}

/// Makes what is missing, and says what it made.
fn make(args: &CertArgs, now: SystemTime) -> anyhow::Result<String> {
    let names: Vec<Name> = args.names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let stem = files::stem(&args.names[0]);
    if stem == "ca" {
        bail!("`ca` is what the authority's own files are called: begin with another name");
    }
    let file = |name: &str, end: &str| args.dir.join(format!("{name}.{end}"));
    let (certificate, key) = (file(&stem, "pem"), file(&stem, "key"));
    let kept = if args.force { Kept::Replaced } else { Kept::AsItIs };
    // Before anything is made: a run that fails leaves nothing behind.
    if let (Kept::AsItIs, Some(there)) =
        (kept, [&certificate, &key].into_iter().find(|file| file.exists()))
    {
        bail!("{} is there already: it is replaced with --force only", there.display());
    }
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("cannot make the folder {}", args.dir.display()))?;

    let (root, root_key) = (file("ca", "pem"), file("ca", "key"));
    let authority = match root.exists() {
        true => Authority::read(&root, &root_key)?,
        false => {
            let authority = Authority::new(now)?;
            files::write_key(&root_key, &authority.key(), Kept::AsItIs)?;
            files::write(&root, authority.certificate(), Kept::AsItIs)?;
            authority
        }
    };
    let leaf = Leaf { names: &names, rsa: args.rsa, days: args.days, expired: args.expired };
    let issued = authority.issue(&leaf, now)?;
    files::write_key(&key, &issued.key, kept)?;
    files::write(&certificate, &issued.certificate, kept)?;
    Ok(said(args, &names, &root, &certificate, &key))
}

fn said(args: &CertArgs, names: &[Name], root: &Path, certificate: &Path, key: &Path) -> String {
    let validity = match args.expired {
        true => "expired a day ago".to_owned(),
        false => format!("valid for {} days", args.days),
    };
    let mut text = format!(
        "{}  the authority: what the other side has to trust\n{}  for {}, {validity}\n{}  its key\n\n",
        root.display(),
        certificate.display(),
        args.names.join(", "),
        key.display()
    );
    let _ = writeln!(
        text,
        "A listener:  \"tls_context\": {{ \"status\": true, \"cert_chain\": {:?}, \"private_key\": {:?} }}",
        certificate.display().to_string(),
        key.display().to_string()
    );
    let (root, certificate, key) = (quoted(root), quoted(certificate), quoted(key));
    let host = names.iter().find_map(Name::host).unwrap_or_else(|| "localhost".to_owned());
    let _ = write!(
        text,
        "Ask it:      curl --cacert {root} --resolve {host}:8443:127.0.0.1 https://{host}:8443/\n\
         As a client: curl --cert {certificate} --key {key} ...\n"
    );
    text
}

/// For a shell, where that matters.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-".contains(char);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
