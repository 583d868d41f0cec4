//! Other people's programs: curl, nginx and the like.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::wait_until;

/// A program that must be installed.
///
/// # Panics
///
/// If it is not, with what to do.
#[must_use]
pub fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path.split(':').map(|folder| Path::new(folder).join(name));
    let found = found.into_iter().find(|path| path.is_file());
    Command::new(found.unwrap_or_else(|| {
        panic!("the program `{name}` is missing: tests/run.sh installs what the tests need")
    }))
}

/// Runs it to its end.
///
/// # Panics
///
/// If it fails, with what it said.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What it printed.
#[must_use]
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `curl` with these arguments, silent but for errors, 20 s at most; what it printed.
///
/// # Panics
///
/// If it fails.
pub fn curl(arguments: &[&str]) -> String {
    let mut curl = program("curl");
    text(&run(curl.args(["--silent", "--show-error", "--max-time", "20"]).args(arguments)))
}

/// A server program; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    /// nginx on a port of 127.0.0.1 or on `unix:/path`; ` http2` behind that is for prior knowledge.
    ///
    /// It serves the files of [`Server::root`], takes PUT into them, and answers `/hello` with a text that
    /// names the method, the URI and the Host.
    #[must_use]
    pub fn nginx(listen: &str) -> Self {
        let folder = TempDir::with_prefix("rosn-nginx-").unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        let conf =
            NGINX.replace("FOLDER", &folder.path().display().to_string()).replace("LISTEN", listen);
        let file = folder.path().join("nginx.conf");
        fs::write(&file, conf).unwrap();
        let mut nginx = program("nginx");
        nginx.arg("-p").arg(folder.path()).arg("-c").arg(&file);
        let server = Self::start(nginx, folder);
        let address = listen.split(' ').next().unwrap_or_default().to_owned();
        server.wait("nginx", move || match address.strip_prefix("unix:") {
            Some(path) => UnixStream::connect(path).is_ok(),
            None => TcpStream::connect(&address).is_ok(),
        })
    }

    /// Python's own HTTP server on a port of 127.0.0.1, with the files of [`Server::root`].
    #[must_use]
    pub fn python(port: u16) -> Self {
        let folder = TempDir::with_prefix("rosn-python-").unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        let mut python = program("python3");
        python.args(["-m", "http.server", "--protocol", "HTTP/1.1", "--bind", "127.0.0.1"]);
        python.arg("--directory").arg(&root).arg(port.to_string());
        let server = Self::start(python, folder);
        server.wait("python's http.server", move || TcpStream::connect(("127.0.0.1", port)).is_ok())
    }

    /// The directory of its files.
    #[must_use]
    pub fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["error.log", "output"].map(read).concat()
    }

    fn start(mut command: Command, folder: TempDir) -> Self {
        let output = fs::File::create(folder.path().join("output")).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        Self { child: command.spawn().unwrap(), folder }
    }

    fn wait(mut self, name: &str, listens: impl Fn() -> bool) -> Self {
        wait_until(&format!("{name} listens"), || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{name} has ended: {}", self.log());
            listens()
        });
        self
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("what the server said:\n{}", self.log());
        }
    }
}

/// One process, which is ended as a child is.
const NGINX: &str = "\
daemon off;
master_process off;
pid FOLDER/pid;
error_log FOLDER/error.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path FOLDER/body;
  proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi;
  scgi_temp_path FOLDER/scgi;
  client_max_body_size 0;
  keepalive_requests 1000000;
  server {
    listen LISTEN;
    location / { root FOLDER/root; dav_methods PUT; }
    location /hello { return 200 \"nginx: $request_method $request_uri at $http_host\\n\"; }
  }
}
";
