//! Builds rosn and what the side-by-side benchmark needs, and runs it.

use anyhow::Result;

use crate::command::run;
use crate::workspace::Workspace;

/// Builds rosn; the folder to build in comes behind it.
const RELEASE: &[&str] = &["build", "--release", "--locked", "--package", "rosn", "--target-dir"];

/// A run that only shows that everything works.
const QUICK: &[&str] = &[
    "--peers=nginx,haproxy",
    "--workloads=h1-1k,l4-req",
    "--rounds=1",
    "--seconds=1",
    "--retries=0",
    "--quiet=0",
];

/// What compares HTTP for programs, by the option that asks for it.
const PROGRAMS: &[(&str, &str)] =
    &[("--clients", "bench/clients.py"), ("--servers", "bench/servers.py")];

/// `options` go on to `bench/run.py`, apart from `--quick`; a later option wins over an earlier one. With `--tunnels`
/// they go to `bench/tunnels.py`, with `--clients` to `bench/clients.py`, with `--servers` to `bench/servers.py`.
pub(crate) fn compare(options: &[String]) -> Result<()> {
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    if let Some(at) = options.iter().position(|option| *option == "--tunnels") {
        options.remove(at);
        return tunnels(&options);
    }
    for (option, script) in PROGRAMS {
        if let Some(at) = options.iter().position(|given| given == option) {
            options.remove(at);
            return programs(script, &options);
        }
    }
    if let Some(at) = options.iter().position(|option| *option == "--quick") {
        options.remove(at);
        options.splice(0..0, QUICK.iter().copied());
    }
    if options.contains(&"--help") {
        return run("python3", &["bench/run.py", "--help"]);
    }
    let peers = list(&options, "--peers");
    run("sh", &[&["bench/setup.sh"], &peers[..]].concat())?;
    let workloads = list(&options, "--workloads");
    let target = Workspace::read()?.target.display().to_string();
    run("cargo", &[RELEASE, &[&target]].concat())?;
    let rosn = format!("--rosn={target}/release/rosn");
    let mut arguments = vec!["bench/run.py", &rosn];

    let (own_target, counted);
    if workloads.is_empty() || workloads.contains(&"allocations") {
        own_target = format!("{target}/system-allocator");
        run("cargo", &[RELEASE, &[&own_target, "--no-default-features"]].concat())?;
        counted = format!("--rosn-system-allocator={own_target}/release/rosn");
        arguments.push(&counted);
    }
    arguments.extend(options);
    run("python3", &arguments)
}

/// Tunnels of rosn beside those of v2ray and sing-box.
fn tunnels(options: &[&str]) -> Result<()> {
    if options.contains(&"--help") {
        return run("python3", &["bench/tunnels.py", "--help"]);
    }
    run("sh", &["bench/setup.sh", "v2ray", "sing-box"])?;
    let target = Workspace::read()?.target.display().to_string();
    run("cargo", &[RELEASE, &[&target]].concat())?;
    let rosn = format!("--rosn={target}/release/rosn");
    let fixed = ["bench/tunnels.py", &rosn, "--sing-box=bench/out/sing-box"];
    run("python3", &[&fixed[..], options].concat())
}

/// rosn's HTTP client or server for programs beside others.
fn programs(script: &str, options: &[&str]) -> Result<()> {
    if !options.contains(&"--help") {
        run("sh", &["bench/setup.sh", "programs"])?;
    }
    run("python3", &[&[script], options].concat())
}

/// The words of the last `name a,b` or `name=a,b`; none where the option is not given.
fn list<'a>(options: &[&'a str], name: &str) -> Vec<&'a str> {
    let value = options.iter().enumerate().rev().find_map(|(at, option)| {
        let rest = option.strip_prefix(name)?;
        if rest.is_empty() { options.get(at + 1).copied() } else { rest.strip_prefix('=') }
    });
    value.map_or_else(Vec::new, |value| value.split(',').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_found_and_the_last_wins() {
        assert_eq!(list(&["--peers=a,b", "--rounds", "1", "--peers", "c"], "--peers"), ["c"]);
        assert_eq!(list(&["--peers", "a,b"], "--peers"), ["a", "b"]);
        assert!(list(&["--rounds", "1", "--peers"], "--peers").is_empty());
    }
}
