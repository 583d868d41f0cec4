//! rosn: a modular network proxy that takes MOSN configurations unchanged.
//!
//! This is the command line: it reads flags and environment as MOSN does, finds the configuration,
//! and starts, stops, reloads or checks. What runs behind `start` is another crate's.
//!
//! ```text
//! rosn start -c config.json      run
//! rosn check -c config.json      find every fault of a configuration
//! rosn reload -c config.json     have the running process read it again
//! rosn stop -c config.json       stop the running process
//! rosn forward FROM TO           one tunnel, without a configuration
//! rosn get URL                  where the time of an HTTP request goes
//! rosn cert NAME                 certificates for trying things out
//! rosn convert --from v2ray FILE make a configuration of another program's
//! ```
//!
//! Exit codes: 0 done, 1 the command line (or what it names) is wrong, 2 the start failed, 4 the stop
//! failed; those of `get` are curl's.

#[cfg(feature = "jemalloc")]
mod allocator;
mod cert;
mod check;
mod cli;
mod convert;
mod forward;
mod get;
mod output;
mod pid_file;
mod process;
mod reload;
mod schema;
mod source;
mod start;
mod stop;
mod version;

use std::process::ExitCode;

use cli::{Cli, Command};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// All is done.
    Ok,
    /// The command line is wrong, or what it names is.
    Usage,
    /// The start failed.
    Start,
    /// The stop failed.
    Stop,
    /// One of curl's codes.
    Curl(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Usage => 1,
            Exit::Start => 2,
            Exit::Stop => 4,
            Exit::Curl(code) => code,
        })
    }
}

fn main() -> ExitCode {
    #[cfg(feature = "jemalloc")]
    allocator::tune();
    let exit = match Cli::read(std::env::args_os()) {
        Ok(cli) => run(cli),
        Err(error) => {
            // Help goes to standard output and is no failure.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Ok }
        }
    };
    exit.into()
}

fn run(cli: Cli) -> Exit {
    if cli.version {
        output::print(&version::line());
        return Exit::Ok;
    }
    match cli.command.unwrap_or(Command::Start(cli.start)) {
        Command::Start(args) => start::run(args),
        Command::Stop(args) => stop::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Forward(args) => forward::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Cert(args) => cert::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Version(args) => version::run(&args),
    }
}
