//! Metrics of the process itself, from /proc, with the names that Prometheus clients use.

use std::fmt::Write;
use std::fs;

/// The unit of times in /proc: USER_HZ is 100 on every architecture that Rust builds for.
const TICKS_PER_SECOND: f64 = 100.0;

/// What /proc says. `None` where it says nothing.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Process {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    threads: Option<u64>,
    start_seconds: Option<f64>,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
}

impl Process {
    /// Of this process.
    pub(super) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut process = Self::parse(
            &text("/proc/self/stat"),
            &text("/proc/self/status"),
            &text("/proc/self/limits"),
            &text("/proc/stat"),
        );
        // Without the descriptor that reads the directory.
        process.open_fds =
            fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64 - 1);
        process
    }

    fn parse(stat: &str, status: &str, limits: &str, system: &str) -> Self {
        // The name in parentheses may hold anything; after it comes field 3 of proc(5).
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
        let ticks = |field: usize| {
            fields.get(field - 3).and_then(|v| v.parse::<u64>().ok()).map(|t| t as f64)
        };
        let cpu = ticks(14).zip(ticks(15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND);
        let booted: Option<f64> = number_after(system, "btime ").map(|seconds| seconds as f64);
        Self {
            cpu_seconds: cpu,
            resident_bytes: number_after(status, "VmRSS:").map(|kib| kib * 1024),
            virtual_bytes: number_after(status, "VmSize:").map(|kib| kib * 1024),
            threads: number_after(status, "Threads:"),
            start_seconds: booted.zip(ticks(22)).map(|(b, ticks)| b + ticks / TICKS_PER_SECOND),
            open_fds: None,
            max_fds: number_after(limits, "Max open files"),
        }
    }

    /// Appends the metrics in the Prometheus text format.
    pub(super) fn write(&self, out: &mut String) {
        let whole = |number: Option<u64>| number.map(|number| number.to_string());
        let decimal = |number: Option<f64>| number.map(|number| number.to_string());
        let metrics = [
            (
                "cpu_seconds_total",
                "counter",
                "CPU time used, in seconds.",
                decimal(self.cpu_seconds),
            ),
            ("max_fds", "gauge", "Limit of open file descriptors.", whole(self.max_fds)),
            ("open_fds", "gauge", "Open file descriptors.", whole(self.open_fds)),
            ("resident_memory_bytes", "gauge", "Resident memory.", whole(self.resident_bytes)),
            (
                "start_time_seconds",
                "gauge",
                "When the process began, in seconds since 1970.",
                decimal(self.start_seconds),
            ),
            ("threads", "gauge", "Threads of the process.", whole(self.threads)),
            ("virtual_memory_bytes", "gauge", "Virtual memory.", whole(self.virtual_bytes)),
        ];
        for (name, kind, help, value) in metrics {
            if let Some(value) = value {
                let _ = write!(
                    out,
                    "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}\n"
                );
            }
        }
    }
}

/// The number that follows `name` at the beginning of a line.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_proc_are_found() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 3 0 1234 9 9";
        let status = "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        let system = "cpu 1 2\nbtime 1000\nprocesses 5\n";
        let process = Process::parse(stat, status, limits, system);
        let expected = Process {
            cpu_seconds: Some(2.0),
            resident_bytes: Some(1 << 20),
            virtual_bytes: Some(2 << 20),
            threads: Some(3),
            start_seconds: Some(1012.34),
            open_fds: None,
            max_fds: Some(1024),
        };
        assert_eq!(process, expected);
        assert_eq!(Process::parse("", "", "Max open files unlimited", "x"), Process::default());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_all_of_them() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.threads.unwrap() > 0 && process.open_fds.unwrap() > 2);
        assert!(process.cpu_seconds.is_some() && process.virtual_bytes.is_some());
        let now = jiff::Timestamp::now().as_second() as f64;
        assert!((-2.0..86400.0).contains(&(now - process.start_seconds.unwrap())));
    }
}
