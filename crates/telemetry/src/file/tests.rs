use rosn_config::checked::Roller;

use super::*;

struct Fixture {
    directory: tempfile::TempDir,
    roller: Roller,
    now: Zoned,
    file: Option<LogFile>,
    compress: Vec<PathBuf>,
}

impl Fixture {
    fn new(roller: Roller) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            roller,
            now: at("2026-11-20T10:00"),
            file: None,
            compress: Vec::new(),
        }
    }

    fn write(&mut self, time: &str, text: &str) {
        self.now = at(time);
        let path = self.directory.path().join("a.log");
        let file =
            self.file.get_or_insert_with(|| LogFile::open(&path, self.roller, &self.now).unwrap());
        file.write(text.as_bytes(), &self.now, &mut self.compress).unwrap();
    }

    fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> = self
            .directory
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text[..text.len().min(9)].to_owned())
            })
            .collect();
        files.sort();
        files
    }
}

fn at(time: &str) -> Zoned {
    // Five and three quarter hours east, so that local days are not UTC's.
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(20_700).unwrap());
    time.parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone).unwrap()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn a_day_ends_at_local_midnight() {
    let mut f = Fixture::new(Roller::default());
    f.write("2026-11-20T10:00", "one\n");
    f.write("2026-11-20T23:59", "two\n");
    f.write("2026-11-21T00:00", "three\n");
    f.write("2026-11-23T12:00", "four\n");
    assert_eq!(
        f.files(),
        pairs(&[
            ("a.log", "four\n"),
            ("a.log.2026-11-20", "one\ntwo\n"),
            ("a.log.2026-11-21", "three\n"),
        ])
    );
}

#[test]
fn hours_name_the_hour() {
    let mut f = Fixture::new(Roller { hours: Some(2), ..Roller::default() });
    f.write("2026-11-20T08:30", "one\n");
    f.write("2026-11-20T09:59", "two\n");
    f.write("2026-11-20T10:00", "three\n");
    assert_eq!(f.files(), pairs(&[("a.log", "three\n"), ("a.log.2026-11-20_08", "one\ntwo\n")]));
}

#[test]
fn size_rolls_within_a_day_and_numbers_go_up() {
    let roller = Roller { megabytes: Some(1), max_files: Some(2), ..Roller::default() };
    let mut f = Fixture::new(roller);
    for name in ["1", "2", "3", "4"] {
        f.write("2026-11-20T08:30", &name.repeat(900_000));
    }
    let files = f.files();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a.log", "a.log.2026-11-20.1", "a.log.2026-11-20.2"]);
    assert!(files[1].1.starts_with('2') && files[2].1.starts_with('3'));
}

#[test]
fn a_file_of_an_earlier_day_is_rolled_at_the_first_line() {
    let mut f = Fixture::new(Roller::default());
    let path = f.directory.path().join("a.log");
    std::fs::write(&path, "old\n").unwrap();
    let old = std::time::SystemTime::from(at("2026-11-18T10:00").timestamp());
    File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    f.write("2026-11-20T10:00", "new\n");
    assert_eq!(f.files(), pairs(&[("a.log", "new\n"), ("a.log.2026-11-18", "old\n")]));
}

#[test]
fn old_files_go_and_foreign_ones_stay() {
    let roller = Roller { max_age_days: Some(7), compress: true, ..Roller::default() };
    let mut f = Fixture::new(roller);
    let names =
        ["a.log.2026-11-12", "a.log.2026-11-13.gz", "a.log.2026-11-14", "a.log.2026-11-10.b"];
    for name in names {
        std::fs::write(f.directory.path().join(name), "").unwrap();
    }
    f.write("2026-11-19T10:00", "one\n");
    f.write("2026-11-20T10:00", "two\n");
    let names: Vec<String> = f.files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "a.log",
            "a.log.2026-11-10.b",
            "a.log.2026-11-13.gz",
            "a.log.2026-11-14",
            "a.log.2026-11-19",
        ]
    );
    let compress: Vec<_> =
        f.compress.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(compress, ["a.log.2026-11-14", "a.log.2026-11-19"]);
}

#[test]
fn a_file_that_was_removed_by_hand_is_made_again() {
    let mut f = Fixture::new(Roller::default());
    f.write("2026-11-19T10:00", "one\n");
    std::fs::remove_file(f.directory.path().join("a.log")).unwrap();
    f.write("2026-11-20T10:00", "two\n");
    assert_eq!(f.files(), pairs(&[("a.log", "two\n")]));
}

#[test]
fn without_limits_nothing_is_rolled() {
    let mut f = Fixture::new(Roller { hours: None, ..Roller::default() });
    f.write("2026-11-19T10:00", "one\n");
    f.write("2036-11-20T10:00", "two\n");
    f.file.as_mut().unwrap().set_roller(Roller { hours: Some(0), ..Roller::default() });
    f.write("2046-11-20T10:00", "x\n");
    assert_eq!(f.files(), pairs(&[("a.log", "one\ntwo\nx")]));
}
