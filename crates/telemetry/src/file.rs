//! A log file that is rolled by time and by size.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::{Timestamp, Zoned};
use rosn_config::checked::Roller;

mod rolled;

use rolled::{Rolled, Stamp};

const MIB: u64 = 1 << 20;

/// One open log file.
///
/// Only the write itself looks at the clock it is given, so a file that nobody writes to is never
/// rolled: an empty file of a quiet day is not made.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    roller: Roller,
    /// When the oldest line of the file was written, as far as it can be known.
    since: Zoned,
    size: u64,
    /// A FIFO or a device is written to, never renamed.
    regular: bool,
}

impl LogFile {
    /// Opens the file for appending; makes it and its directory if they are not there.
    pub(crate) fn open(path: &Path, roller: Roller, now: &Zoned) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let metadata = file.metadata()?;
        // A file of an earlier run: when it was last written to, as MOSN takes it.
        let written = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let since = match written {
            Some(time) if metadata.len() > 0 => time.to_zoned(now.time_zone().clone()),
            _ => now.clone(),
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            roller,
            since,
            size: metadata.len(),
            regular: metadata.is_file(),
        })
    }

    /// Opens the path again, after something else has moved the file away.
    ///
    /// # Errors
    /// If the path cannot be opened; the old file stays in use.
    pub(crate) fn reopen(&mut self, now: &Zoned) -> io::Result<()> {
        *self = Self::open(&self.path, self.roller, now)?;
        Ok(())
    }

    /// Changes when the file is rolled.
    pub(crate) fn set_roller(&mut self, roller: Roller) {
        self.roller = roller;
    }

    /// Appends whole lines, after rolling the file if that is due. Puts the rolled files that are
    /// to be compressed in `compress`.
    pub(crate) fn write(
        &mut self,
        lines: &[u8],
        now: &Zoned,
        compress: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let rolled = if self.is_due(lines.len(), now) { self.roll(now, compress) } else { Ok(()) };
        self.file.write_all(lines)?;
        self.size += lines.len() as u64;
        rolled
    }

    fn is_due(&self, more: usize, now: &Zoned) -> bool {
        if !self.regular || self.size == 0 {
            return false;
        }
        let too_big = self
            .roller
            .megabytes
            .is_some_and(|limit| self.size + more as u64 > limit.saturating_mul(MIB));
        too_big
            || self.hours().is_some_and(|hours| period(now, hours) != period(&self.since, hours))
    }

    fn hours(&self) -> Option<i64> {
        let hours = i64::try_from(self.roller.hours?).ok()?;
        (hours > 0).then_some(hours)
    }

    /// Renames the file and opens a new one. What goes wrong with the rename is no reason to stop
    /// logging: the file may have been removed by hand.
    fn roll(&mut self, now: &Zoned, compress: &mut Vec<PathBuf>) -> io::Result<()> {
        let rolled = rolled::list(&self.path);
        let stamp = Stamp::new(&self.since, self.hours() != Some(24));
        let number = rolled.iter().filter(|old| old.stamp == stamp).map(|old| old.number + 1).max();
        let target = rolled::path(&self.path, stamp, number.unwrap_or(0));
        // If the new file cannot be opened, the old one stays in use and counts as new: the next
        // attempt is one period away, not one line.
        self.since = now.clone();
        self.size = 0;
        let renamed = std::fs::rename(&self.path, &target);
        self.reopen(now)?;
        renamed.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        self.tidy(now, compress);
        Ok(())
    }

    /// Removes rolled files that are too old or too many; asks for the rest to be compressed.
    fn tidy(&self, now: &Zoned, compress: &mut Vec<PathBuf>) {
        let mut files = rolled::list(&self.path);
        files.sort_by_key(|file| (file.stamp, file.number));
        let too_many = match self.roller.max_files.map(usize::try_from) {
            Some(Ok(keep)) => files.len().saturating_sub(keep),
            _ => 0,
        };
        let keep = files.split_off(too_many);
        let (old, keep): (Vec<Rolled>, Vec<Rolled>) = keep
            .into_iter()
            .partition(|f| self.roller.max_age_days.is_some_and(|days| f.is_older(now, days)));
        for file in files.iter().chain(&old) {
            // A file that cannot be removed is tried again at the next roll.
            let _ = std::fs::remove_file(&file.path);
        }
        if self.roller.compress {
            compress.extend(keep.into_iter().filter(|f| !f.compressed).map(|f| f.path));
        }
    }
}

/// The number of the period of `hours` that a moment is in, counted so that days begin at local
/// midnight.
fn period(moment: &Zoned, hours: i64) -> i64 {
    let local = moment.timestamp().as_second() + i64::from(moment.offset().seconds());
    local.div_euclid(hours.saturating_mul(3600))
}

#[cfg(test)]
mod tests;
