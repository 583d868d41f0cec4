//! Compresses rolled files a piece at a time, between the writes of the thread that does it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// How much is compressed before the thread looks at its buffers again: some 20 ms of work.
const STEP_BYTES: u64 = 1 << 20;

/// The files that wait to be compressed.
#[derive(Debug, Default)]
pub(crate) struct Gzip {
    waiting: VecDeque<PathBuf>,
    current: Option<Job>,
}

impl Gzip {
    /// Adds files; one that waits already is not added again.
    pub(crate) fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            let known = self.waiting.contains(&path)
                || self.current.as_ref().is_some_and(|job| job.source == path);
            if !known {
                self.waiting.push_back(path);
            }
        }
    }

    /// Does a small piece of the work. Returns whether there is more.
    ///
    /// # Errors
    /// If a file cannot be read or written. It stays as it was and is given up; the next roll asks
    /// for it again.
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        let mut job = match self.current.take() {
            Some(job) => job,
            None => match self.waiting.pop_front() {
                Some(path) => Job::start(path)?,
                None => return Ok(false),
            },
        };
        if job.copy_some()? {
            self.current = Some(job);
        } else {
            job.finish()?;
        }
        Ok(self.current.is_some() || !self.waiting.is_empty())
    }
}

#[derive(Debug)]
struct Job {
    source: PathBuf,
    input: File,
    output: GzEncoder<File>,
    partial: Partial,
}

impl Job {
    fn start(source: PathBuf) -> io::Result<Self> {
        let input = File::open(&source)?;
        let partial = Partial(with_suffix(&source, ".gz.tmp"));
        let output = File::create(&partial.0)?;
        output.set_permissions(input.metadata()?.permissions())?;
        Ok(Self { source, input, output: GzEncoder::new(output, Compression::default()), partial })
    }

    /// Returns whether there is more.
    fn copy_some(&mut self) -> io::Result<bool> {
        let copied = io::copy(&mut (&self.input).take(STEP_BYTES), &mut self.output)?;
        Ok(copied == STEP_BYTES)
    }

    fn finish(mut self) -> io::Result<()> {
        self.output.try_finish()?;
        std::fs::rename(&self.partial.0, with_suffix(&self.source, ".gz"))?;
        std::fs::remove_file(&self.source)
    }
}

/// The unfinished output, which is removed when the job is given up. After the rename there is
/// nothing left to remove.
#[derive(Debug)]
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn a_file_is_compressed_in_steps() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log.2026-11-20");
        let text: Vec<u8> = (0..5 << 19).map(|i: u32| (i % 251) as u8).collect();
        std::fs::write(&path, &text).unwrap();
        let mut gzip = Gzip::default();
        gzip.add([path.clone(), path.clone()]);
        assert!(gzip.step().unwrap());
        assert!(path.exists(), "the source stays until the copy is whole");
        gzip.add([path.clone()]);
        assert!(gzip.step().unwrap());
        assert!(!gzip.step().unwrap());
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
        let mut back = Vec::new();
        let packed = File::open(with_suffix(&path, ".gz")).unwrap();
        GzDecoder::new(packed).read_to_end(&mut back).unwrap();
        assert!(back == text);
    }

    #[test]
    fn work_that_is_given_up_leaves_the_source_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        std::fs::write(&path, vec![0; 3 << 20]).unwrap();
        let mut gzip = Gzip::default();
        gzip.add([path.clone(), directory.path().join("missing")]);
        assert!(gzip.step().unwrap());
        drop(gzip.current.take());
        assert!(gzip.step().is_err());
        assert!(!gzip.step().unwrap());
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
        assert!(path.exists());
    }
}
