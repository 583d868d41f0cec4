//! `rosn stop`: SIGINT to the process of the pid file, and wait until it is gone.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;

use crate::Exit;
use crate::cli::{ControlArgs, ReportFormat};
use crate::output;
use crate::pid_file;
use crate::process::{self, Kind};
use crate::source::Source;

/// How long the process may take, as in MOSN.
const PATIENCE: Duration = Duration::from_secs(10);

/// A failure, and what it means for the exit code.
struct Failure(Exit, anyhow::Error);

pub(crate) fn run(args: &ControlArgs) -> Exit {
    let stopped = Source::find(&args.config)
        .map_err(|error| Failure(Exit::Usage, error))
        .and_then(|source| stop(&source.paths().pid_file));
    match (stopped, args.format) {
        (Ok(pid), ReportFormat::Text) => {
            output::print(&format!("rosn (process {pid}) has stopped\n"));
            Exit::Ok
        }
        (Ok(pid), ReportFormat::Json) => {
            output::print_json(&json!({"stopped": true, "pid": pid}));
            Exit::Ok
        }
        (Err(Failure(exit, error)), ReportFormat::Text) => {
            output::complain(&format!("error: {error:#}"));
            exit
        }
        (Err(Failure(exit, error)), ReportFormat::Json) => {
            output::print_json(&json!({"stopped": false, "error": format!("{error:#}")}));
            exit
        }
    }
}

fn stop(path: &Path) -> Result<i32, Failure> {
    let usage = |message: String| Failure(Exit::Usage, anyhow!(message));
    let file = path.display();
    let holder = pid_file::holder(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => usage(format!(
            "there is no pid file {file}: nothing runs with this configuration\n  \
             name the one it was started with: rosn stop -c FILE"
        )),
        _ => usage(format!("cannot read the pid file {file}: {error}")),
    })?;
    let pid = holder.pid;
    let gone = || {
        usage(format!("the pid file {file} is stale: the process {pid} is gone; nothing to stop"))
    };
    // From here on the number cannot come to mean another process.
    let process = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let process = process.ok_or_else(gone)?;
    match process::kind(pid) {
        Kind::Gone => return Err(gone()),
        Kind::Other(name) if !holder.locked => {
            return Err(usage(format!(
                "the pid file {file} is stale: the process {pid} is now a `{name}`, not a rosn; \
                 it is left alone"
            )));
        }
        Kind::Rosn | Kind::Other(_) => {}
    }
    interrupt(&process, pid).map_err(|error| Failure(Exit::Stop, error))
}

fn interrupt(process: &OwnedFd, pid: i32) -> anyhow::Result<i32> {
    pidfd_send_signal(process, Signal::INT)
        .map_err(|error| anyhow!("cannot send SIGINT to the process {pid}: {error}"))?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if has_ended(process, Duration::from_secs(1))? {
            return Ok(pid);
        }
        output::complain(&format!("the process {pid} is still stopping"));
    }
    Err(anyhow!(
        "the process {pid} has not stopped within {} s\n  end it by force: kill -9 {pid}",
        PATIENCE.as_secs()
    ))
}

/// A pidfd is readable once its process has ended.
fn has_ended(process: &OwnedFd, wait: Duration) -> io::Result<bool> {
    let wait = Timespec { tv_sec: wait.as_secs().try_into().unwrap_or(1), tv_nsec: 0 };
    let mut watched = [PollFd::new(process, PollFlags::IN)];
    match poll(&mut watched, Some(&wait)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
