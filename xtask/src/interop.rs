//! Runs rosn against other people's programs, and installs these first.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::run;
use crate::workspace::Workspace;

/// The suites: a name, packages of Debian, of PyPI and of npm, programs of Go and of Rust, an example of ours, and the
/// script.
const SUITES: &[Suite] = &[
    Suite {
        name: "v2ray",
        debian: &["v2ray", "openssl", "python3"],
        pypi: &[],
        npm: &[],
        go: &[],
        rust: None,
        example: None,
        script: "tests/interop/v2ray.py",
    },
    Suite {
        name: "python",
        debian: &["openssl", "python3", "python3-venv"],
        pypi: &["aioquic==1.7.2", "h2==4.4.1", "websockets==17.4"],
        npm: &[],
        go: &[],
        rust: None,
        example: None,
        script: "tests/interop/python_peers.py",
    },
    Suite {
        name: "autobahn",
        debian: &["python3", "python3-venv"],
        pypi: &["kosoku==0.1.0"],
        npm: &[],
        go: &[],
        rust: None,
        example: None,
        script: "tests/interop/autobahn.py",
    },
    Suite {
        name: "tunnels",
        debian: &[
            "chromium",
            "curl",
            "docker.io",
            "nodejs",
            "openssl",
            "python3",
            "python3-venv",
            "tinyproxy",
        ],
        pypi: &["docker==7.2.0", "kosoku==0.1.0", "websockets==17.4"],
        // The last playwright-core for the Node.js 18 of Debian 12.
        npm: &["playwright-core@1.57.0", "ws@8.23.0"],
        go: &[],
        rust: None,
        example: None,
        script: "tests/interop/tunnels.py",
    },
    Suite {
        name: "http2",
        debian: &[
            "chromium",
            "curl",
            "nghttp2-client",
            "nghttp2-server",
            "nginx",
            "nodejs",
            "openssl",
            "python3",
            "python3-venv",
        ],
        pypi: &["h2==4.4.1", "httpx[http2]==0.28.1", "websockets==17.4"],
        npm: &["playwright-core@1.57.0"],
        // The last version that Go's module proxy has.
        go: &[
            "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible",
            "github.com/summerwind/h2spec/cmd/h2specd@v2.2.1+incompatible",
        ],
        rust: None,
        example: Some("http2_peer"),
        script: "tests/interop/http2.py",
    },
    Suite {
        name: "tls",
        debian: &[
            "curl",
            "nghttp2-client",
            "nginx",
            "openssl",
            "procps",
            "python3",
            "python3-venv",
            // The first that gives a grade.
            "testssl.sh/bookworm-backports",
            "wrk",
        ],
        pypi: &["curl_cffi==0.16.3", "h2==4.4.1", "sslyze==6.3.1"],
        npm: &[],
        go: &[],
        rust: None,
        example: None,
        script: "tests/interop/tls.py",
    },
    Suite {
        name: "grpc",
        debian: &["nodejs", "openssl", "python3", "python3-venv"],
        pypi: &["grpcio==1.85.1", "grpcio-health-checking==1.85.1"],
        npm: &["@grpc/grpc-js@1.14.7"],
        go: &[
            "google.golang.org/grpc/interop/client@v1.85.0",
            "google.golang.org/grpc/interop/server@v1.85.0",
        ],
        rust: Some("tests/interop/tonic/Cargo.toml"),
        example: None,
        script: "tests/interop/grpc_calls.py",
    },
];

struct Suite {
    name: &'static str,
    debian: &'static [&'static str],
    pypi: &'static [&'static str],
    npm: &'static [&'static str],
    go: &'static [&'static str],
    /// A workspace of its own.
    rust: Option<&'static str>,
    /// Of `rosn-http`.
    example: Option<&'static str>,
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
    let debian: BTreeSet<&str> = chosen.iter().flat_map(|suite| suite.debian).copied().collect();
    run("sh", &[".ci/install"].into_iter().chain(debian).collect::<Vec<_>>())?;
    let rosn = format!("--rosn={}", target.join("release/rosn").display());
    for suite in chosen {
        let folder = target.join("interop").join(suite.name);
        let python = suite.install_python(&folder)?;
        let mut arguments = vec![suite.script, &rosn];
        let node = format!("--node={}", folder.join("node").display());
        if !suite.npm.is_empty() {
            suite.install_node(&folder.join("node"))?;
            arguments.push(&node);
        }
        let go = format!("--go={}", folder.join("go").display());
        if !suite.go.is_empty() {
            suite.install_go(&folder.join("go"))?;
            arguments.push(&go);
        }
        let rust = format!("--rust={}", folder.join("rust/debug").display());
        if let Some(manifest) = suite.rust {
            let into = folder.join("rust").display().to_string();
            let command = ["build", "--locked", "--manifest-path", manifest, "--target-dir", &into];
            run("cargo", &command)?;
            arguments.push(&rust);
        }
        let examples = format!("--examples={}", target.join("debug/examples").display());
        if let Some(name) = suite.example {
            // With the features that the tests of the workspace are built with, so that most of it is there.
            run("cargo", &["build", "--locked", "--workspace", "--example", name])?;
            arguments.push(&examples);
        }
        arguments.extend(options.iter().map(String::as_str));
        run(&python, &arguments)?;
    }
    Ok(())
}

impl Suite {
    /// Installs what the suite has of PyPI; says which Python runs it.
    fn install_python(&self, folder: &Path) -> Result<String> {
        if self.pypi.is_empty() {
            return Ok("python3".to_owned());
        }
        let venv = folder.display().to_string();
        run("python3", &["-m", "venv", &venv])?;
        let pip = format!("{venv}/bin/pip");
        run(&pip, &[&["install", "--quiet", "--disable-pip-version-check"], self.pypi].concat())?;
        Ok(format!("{venv}/bin/python"))
    }

    /// Installs what the suite has of npm.
    fn install_node(&self, folder: &Path) -> Result<()> {
        // Other packages of Node.js than Debian's bring their own npm, and do not go together with Debian's.
        if Command::new("npm").arg("--version").output().is_err() {
            run("sh", &[".ci/install", "npm"])?;
        }
        let folder = folder.display().to_string();
        std::fs::create_dir_all(&folder)?;
        let options = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", &folder];
        run("npm", &[&options, self.npm].concat())
    }

    /// Builds the suite's programs of Go into a folder, unless they are there.
    fn install_go(&self, folder: &Path) -> Result<()> {
        if Command::new("go").arg("version").output().is_err() {
            run("sh", &[".ci/install", "golang-go"])?;
        }
        for package in self.go {
            let path = package.split('@').next().unwrap_or_default();
            let name = path.rsplit('/').next().unwrap_or_default();
            if !folder.join(name).exists() {
                let variable = format!("GOBIN={}", folder.display());
                run("env", &[&variable, "go", "install", package])?;
            }
        }
        Ok(())
    }
}
