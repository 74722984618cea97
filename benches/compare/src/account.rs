//! Door: what the system keeps account of: processor time, memory and bytes written by this process and this device.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Counters at one moment.
#[derive(Clone, Copy, Default)]
pub struct Account {
    /// Processor time of all threads, user and system, in µs.
    pub cpu_us: f64,
    /// Bytes that this process made the system write to a device, as the kernel attributes them.
    pub process_bytes: u64,
    /// Bytes written to the device of a directory by anybody.
    pub device_bytes: u64,
}

impl Account {
    /// The counters now, those of the device for the one on which `dir` lies.
    pub fn now(dir: &Path) -> Self {
        let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
        Self {
            cpu_us: cpu_us(),
            process_bytes: number_behind(&io, "write_bytes:").unwrap_or(0),
            device_bytes: device_bytes(dir).unwrap_or(0),
        }
    }
}

/// Memory of this process in bytes.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// In no file.
    pub anonymous: u64,
    /// Of mapped files.
    pub mapped: u64,
    /// The most that both were together.
    pub peak: u64,
}

impl Memory {
    /// As it is now.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |name| number_behind(&status, name).unwrap_or(0) * 1024;
        Self { anonymous: kib("RssAnon:"), mapped: kib("RssFile:"), peak: kib("VmHWM:") }
    }
}

fn cpu_us() -> f64 {
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    clock.tv_sec as f64 * 1e6 + clock.tv_nsec as f64 / 1e3
}

/// What block statistics say of the device of `dir`; `None` where the system has no such file.
fn device_bytes(dir: &Path) -> Option<u64> {
    let device = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    // Field 7: sectors of 512 bytes written, whatever the device calls a sector.
    stat.split_whitespace().nth(6)?.parse::<u64>().ok().map(|sectors| sectors * 512)
}

fn number_behind(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_behind_their_names() {
        let text = "write_bytes: 4096\nVmHWM:\t   12 kB\n";
        assert_eq!(number_behind(text, "write_bytes:"), Some(4096));
        assert_eq!(number_behind(text, "VmHWM:"), Some(12));
        assert_eq!(number_behind(text, "RssAnon:"), None);
    }

    #[test]
    fn this_process_has_memory_and_takes_time() {
        assert!(Memory::now().anonymous > 0);
        assert!(Account::now(Path::new("/")).cpu_us > 0.0);
    }
}
