//! How much CPU a process that runs has used so far.

use crate::failure::Failure;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// How long a process must have used nothing to count as idle.
const IDLE_FOR: Duration = Duration::from_millis(3);
/// How often that is looked at. At the bound the process is busy with something else, and the sum is taken as it is.
const LOOKS_MAX: u32 = 100;

/// The CPU time of all threads of a process, user and system, once it has nothing more to do.
pub(super) fn cpu_when_idle(pid: u32) -> Result<Duration, Failure> {
    let mut before = cpu(pid)?;
    for _ in 0..LOOKS_MAX {
        sleep(IDLE_FOR);
        let now = cpu(pid)?;
        if now == before {
            break;
        }
        before = now;
    }
    Ok(before)
}

/// `schedstat` counts nanoseconds. `stat`, and `getrusage` on many machines, count ticks of the clock: a whole start
/// would be one of them.
fn cpu(pid: u32) -> Result<Duration, Failure> {
    let folder = format!("/proc/{pid}/task");
    let folder = Path::new(&folder);
    let threads = fs::read_dir(folder).map_err(|source| Failure::file(folder, source))?;
    let mut nanoseconds = 0;
    for thread in threads.flatten() {
        let path = thread.path().join("schedstat");
        let text = fs::read_to_string(&path).map_err(|source| Failure::file(&path, source))?;
        nanoseconds += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}
