//! The process's own numbers, under the names that every Prometheus client library gives them.
//!
//! Written as text here: the recorder's counters are whole numbers, and a daemon's CPU time in whole seconds would make
//! a staircase of every graph.

use std::fmt::Write;

/// Reads the operating system's numbers and appends them to `out`. Takes the longer the more files are open: to be
/// called off the arbiters.
pub(super) fn render(out: &mut String) {
    let now = metrics_process::collector::collect();
    let whole = |value: Option<u64>| value.map(|value| value.to_string());
    let cpu = now.cpu_seconds_total.map(|seconds| seconds.to_string());
    let numbers = [
        ("process_cpu_seconds_total", "counter", "CPU time of the process, in user and system mode.", cpu),
        ("process_open_fds", "gauge", "Open file descriptors.", whole(now.open_fds)),
        (
            "process_max_fds",
            "gauge",
            "File descriptors that may be open; 0 for no limit.",
            whole(now.max_fds),
        ),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory.", whole(now.virtual_memory_bytes)),
        (
            "process_virtual_memory_max_bytes",
            "gauge",
            "Virtual memory that may be used; 0 for no limit.",
            whole(now.virtual_memory_max_bytes),
        ),
        ("process_resident_memory_bytes", "gauge", "Memory in use.", whole(now.resident_memory_bytes)),
        (
            "process_start_time_seconds",
            "gauge",
            "When the process started, in seconds since 1970.",
            whole(now.start_time_seconds),
        ),
        ("process_threads", "gauge", "Threads of the process.", whole(now.threads)),
    ];
    for (name, kind, help, value) in numbers {
        if let Some(value) = value {
            // Writing to a string can't fail.
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    }
}
