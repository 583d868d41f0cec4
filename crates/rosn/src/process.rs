//! Other processes, as /proc shows them.

use std::fs;

/// What a process number stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No live process.
    Gone,
    /// A rosn.
    Rosn,
    /// Another program, by its name.
    Other(String),
}

/// Looks at a process.
pub(crate) fn kind(pid: i32) -> Kind {
    // `pid (name) state ...`; the name may hold anything.
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Kind::Gone };
    let Some((front, back)) = stat.rsplit_once(')') else { return Kind::Gone };
    if matches!(back.trim_start().chars().next(), Some('Z' | 'X') | None) {
        return Kind::Gone;
    }
    let name = front.split_once('(').map_or("", |(_, name)| name);
    if name == "rosn" || same_program(pid) {
        return Kind::Rosn;
    }
    Kind::Other(name.to_owned())
}

/// A rosn under another name; also one whose file was replaced by a newer version since.
fn same_program(pid: i32) -> bool {
    let program = |pid: &str| {
        let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?.into_os_string();
        let path = path.into_string().ok()?;
        Some(path.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(path))
    };
    program("self").is_some_and(|own| program(&pid.to_string()) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_told_apart() {
        assert_eq!(kind(std::process::id() as i32), Kind::Rosn);
        assert_eq!(kind(i32::MAX), Kind::Gone);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        // Between fork and exec it is still a copy of this program.
        while kind(pid) == Kind::Rosn {
            std::thread::yield_now();
        }
        assert_eq!(kind(pid), Kind::Other("sleep".into()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(kind(pid), Kind::Gone);
    }
}
