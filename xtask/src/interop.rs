//! Runs rosn against other people's programs, and installs these first.

use std::path::Path;

use anyhow::{Result, bail};

use crate::command::run;
use crate::workspace::Workspace;

/// The suites: a name, Debian packages, packages of PyPI, and the script.
const SUITES: &[Suite] = &[
    Suite {
        name: "v2ray",
        debian: &["v2ray", "openssl", "python3"],
        pypi: &[],
        script: "tests/interop/v2ray.py",
    },
    Suite {
        name: "python",
        debian: &["openssl", "python3", "python3-venv"],
        pypi: &["aioquic==1.7.2", "h2==4.4.1", "websockets==17.4"],
        script: "tests/interop/python_peers.py",
    },
    Suite {
        name: "autobahn",
        debian: &["python3", "python3-venv"],
        pypi: &["kosoku==0.1.0"],
        script: "tests/interop/autobahn.py",
    },
];

struct Suite {
    name: &'static str,
    debian: &'static [&'static str],
    pypi: &'static [&'static str],
    script: &'static str,
}

/// Runs the suite of that name, or all; `options` go on to its script.
pub(crate) fn check(name: Option<&str>, options: &[String]) -> Result<()> {
    let chosen: Vec<&Suite> =
        SUITES.iter().filter(|suite| name.is_none_or(|name| name == suite.name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("no such suite: {}; there are {}", name.unwrap_or_default(), names.join(", "));
    }
    let target = Workspace::read()?.target;
    run("cargo", &["build", "--release", "--locked", "--package", "rosn"])?;
    let rosn = format!("--rosn={}", target.join("release/rosn").display());
    for suite in chosen {
        let python = suite.install(&target)?;
        let mut arguments = vec![suite.script, &rosn];
        arguments.extend(options.iter().map(String::as_str));
        run(&python, &arguments)?;
    }
    Ok(())
}

impl Suite {
    /// Installs what the suite talks to; says which Python runs it.
    fn install(&self, target: &Path) -> Result<String> {
        run("sh", &[&[".ci/install"], self.debian].concat())?;
        if self.pypi.is_empty() {
            return Ok("python3".to_owned());
        }
        let venv = target.join("interop").join(self.name).display().to_string();
        run("python3", &["-m", "venv", &venv])?;
        let pip = format!("{venv}/bin/pip");
        run(&pip, &[&["install", "--quiet", "--disable-pip-version-check"], self.pypi].concat())?;
        Ok(format!("{venv}/bin/python"))
    }
}
