//! What every step of loading works with.

use crate::LoadOptions;
use crate::diagnostic::{Fault, Report};
use crate::text::Sources;

/// The files, the findings so far and what the caller wants.
pub(crate) struct Context<'o> {
    pub(crate) sources: Sources,
    pub(crate) report: Report,
    pub(crate) options: &'o LoadOptions,
    /// Whether unknown keys are errors at this place, whatever the options say.
    pub(crate) exact: bool,
    /// The file and the included directories that were read, or could not be.
    pub(crate) read: Vec<std::path::PathBuf>,
    /// Where relative paths of included files are looked for, besides the working directory.
    pub(crate) directory: std::path::PathBuf,
}

impl Context<'_> {
    /// Reports a finding.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.report.add(&self.sources, fault);
    }

    /// A file that the configuration names: relative to the working directory as in MOSN, or where
    /// there is none, relative to the configuration's own directory.
    pub(crate) fn file(&self, path: &str) -> std::path::PathBuf {
        let path = std::path::Path::new(path);
        let beside = self.directory.join(path);
        if !path.exists() && beside.exists() { beside } else { path.to_owned() }
    }
}
