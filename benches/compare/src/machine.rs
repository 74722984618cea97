//! Door: where it is measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::line::Machine;

/// What the system says about itself, for measurements in `dir`.
pub fn about(dir: &Path, scale: f64, rounds: usize) -> Machine {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field =
        |name: &str| cpus.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Machine {
        date: said("date", &["-u", "+%Y-%m-%d"]),
        processor: field("model name")
            .map_or_else(|| std::env::consts::ARCH.into(), |(_, model)| model.into()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_gib: (kib / 1024.0 / 1024.0).round(),
        kernel: said("uname", &["-sr"]),
        filesystem: filesystem(dir),
        rustc: said("rustc", &["-V"]),
        revision: said("git", &["describe", "--always", "--dirty"]),
        command: shown(std::env::args().skip(1)),
        scale,
        rounds,
        load: load.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
    }
}

/// The call, without the places of files on this machine.
fn shown(args: impl Iterator<Item = String>) -> String {
    let mut shown = "compare".to_owned();
    for arg in args {
        shown.push(' ');
        let name =
            Path::new(&arg).file_name().and_then(|name| name.to_str()).filter(|_| arg.starts_with('/'));
        shown.push_str(name.unwrap_or(&arg));
    }
    shown
}

fn said(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).output();
    done.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned()).unwrap_or_default()
}

/// Kind and options of the mount that `dir` is in.
fn filesystem(dir: &Path) -> String {
    let Ok(dir) = dir.canonicalize() else { return String::new() };
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let inside = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (at, kind, options) = (words.next()?, words.next()?, words.next()?);
        dir.starts_with(at).then(|| (at.len(), format!("{kind} ({options})")))
    });
    inside.max_by_key(|(length, _)| *length).map(|(_, shown)| shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_shows_no_places_of_this_machine() {
        let args = ["run", "--dir", "/mnt/x/there", "--scale", "1"].map(str::to_owned);
        assert_eq!(shown(args.into_iter()), "compare run --dir there --scale 1");
    }

    #[test]
    fn a_machine_has_cores_and_a_file_system() {
        let machine = about(Path::new("/"), 1.0, 3);
        assert!(machine.cores > 0 && !machine.filesystem.is_empty());
    }
}
