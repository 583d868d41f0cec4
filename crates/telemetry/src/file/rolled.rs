//! The names of rolled files: `<file>.2026-11-21` or `<file>.2026-11-21_08`, then `.1`, `.2`, … if
//! there is more than one of a period, then `.gz`.

use std::path::{Path, PathBuf};

use jiff::Zoned;
use jiff::civil::Date;

/// The day, and the hour if files are rolled more or less often than daily, of a file's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    date: Date,
    hour: Option<i8>,
}

impl Stamp {
    /// Of a moment.
    pub(crate) fn new(moment: &Zoned, hourly: bool) -> Self {
        Self { date: moment.date(), hour: hourly.then(|| moment.hour()) }
    }
}

/// A rolled file that was found beside the log file.
#[derive(Debug)]
pub(crate) struct Rolled {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
    /// 0 for the oldest of its period.
    pub(crate) number: u64,
    pub(crate) compressed: bool,
}

impl Rolled {
    /// Whether it began more than `days` days ago.
    pub(crate) fn is_older(&self, now: &Zoned, days: u64) -> bool {
        let age = (now.date() - self.stamp.date).get_days();
        u64::try_from(age).is_ok_and(|age| age > days)
    }
}

/// The path of a rolled file.
pub(crate) fn path(log: &Path, stamp: Stamp, number: u64) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(format!(".{}", stamp.date));
    if let Some(hour) = stamp.hour {
        name.push(format!("_{hour:02}"));
    }
    if number > 0 {
        name.push(format!(".{number}"));
    }
    PathBuf::from(name)
}

/// The rolled files of a log, in no order. Only names that [`path`] makes are taken, for these
/// files may be removed.
pub(crate) fn list(log: &Path) -> Vec<Rolled> {
    let directory = match log.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (Some(name), Ok(entries)) =
        (log.file_name().and_then(|n| n.to_str()), directory.read_dir())
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let suffix = file_name.to_str().and_then(|n| n.strip_prefix(name)?.strip_prefix('.'));
        if let Some((stamp, number, compressed)) = suffix.and_then(parse) {
            found.push(Rolled { path: entry.path(), stamp, number, compressed });
        }
    }
    found
}

fn parse(suffix: &str) -> Option<(Stamp, u64, bool)> {
    let (suffix, compressed) = match suffix.strip_suffix(".gz") {
        Some(rest) => (rest, true),
        None => (suffix, false),
    };
    let (stamp, number) = match suffix.split_once('.') {
        Some((stamp, number)) => (stamp, number.parse().ok().filter(|n| *n > 0)?),
        None => (suffix, 0),
    };
    let (date, hour) = match stamp.split_once('_') {
        Some((date, hour)) if hour.len() == 2 => {
            (date, Some(hour.parse().ok().filter(|hour| (0..24).contains(hour))?))
        }
        Some(_) => return None,
        None => (stamp, None),
    };
    if date.len() != "2026-11-21".len() {
        return None;
    }
    Some((Stamp { date: date.parse().ok()?, hour }, number, compressed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_taken() {
        for good in ["2026-11-21", "2026-11-21_08", "2026-11-21.3", "2026-11-21_23.12.gz"] {
            let (stamp, number, compressed) = parse(good).unwrap();
            let mut back = path(Path::new("a"), stamp, number).to_str().unwrap()[2..].to_owned();
            if compressed {
                back.push_str(".gz");
            }
            assert_eq!(back, good);
        }
        for bad in ["", "1", "bak", "gz", "2026-11-21.gz.tmp", "2026-13-21", "2026-11-21_24"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        for bad in
            ["2026-11-21_8", "2026-11-21.0", "2026-11-21T08:00:00", "20261121", "2026-11-21.x"]
        {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
