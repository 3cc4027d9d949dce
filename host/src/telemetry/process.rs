//! The figures of the process itself, under the names that every Prometheus client uses.

use std::fs;
use std::time::{Duration, SystemTime};

use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};

use super::metrics::{family, label};

/// This process.
#[derive(Clone, Debug)]
pub(super) struct Process {
    started: SystemTime,
}

impl Process {
    /// This process, started now.
    pub(super) fn started_now() -> Self {
        Self { started: SystemTime::now() }
    }

    /// What can be known of it; where there is no `/proc`, that is less.
    pub(super) fn families(&self) -> Vec<MetricFamily> {
        let mut build = gauge(1.0);
        build.set_label(vec![label("version", env!("CARGO_PKG_VERSION"))]);
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut families = vec![
            family("weir_build_info", "Always 1; the version is a label.", MetricType::GAUGE, build),
            family(
                "process_start_time_seconds",
                "When the process started, in seconds since 1970.",
                MetricType::GAUGE,
                gauge(started.as_secs_f64()),
            ),
        ];
        if let Some(bytes) = read("status").and_then(|status| resident(&status)) {
            let help = "Memory that the process holds in RAM.";
            families.push(family("process_resident_memory_bytes", help, MetricType::GAUGE, gauge(bytes)));
        }
        if let Some(spent) = read("stat").and_then(|stat| cpu(&stat)) {
            let help = "CPU time that the process has used, in user and system mode.";
            let mut value = Counter::default();
            value.set_value(spent.as_secs_f64());
            let mut metric = Metric::default();
            metric.set_counter(value);
            families.push(family("process_cpu_seconds_total", help, MetricType::COUNTER, metric));
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            let help = "Open files and sockets.";
            families.push(family("process_open_fds", help, MetricType::GAUGE, gauge(open.count() as f64)));
        }
        families
    }
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/self/{file}")).ok()
}

/// From `/proc/self/status`, which counts in units of 1024 bytes and calls them kB.
fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// From `/proc/self/stat`, which counts in hundredths of a second on every Linux there is.
fn cpu(stat: &str) -> Option<Duration> {
    // The program's name, in parentheses, may hold spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

fn gauge(value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    Metric::from_gauge(gauge)
}

#[cfg(test)]
mod tests {
    use super::{Process, cpu, resident};
    use std::time::Duration;

    #[test]
    fn the_kernels_files_are_read_right() {
        let stat = "123 (a (b) c) S 1 123 123 0 -1 4194304 1000 0 5 0 250 49 0 0 20 0 8 0 99 1 2 3";
        assert_eq!(cpu(stat), Some(Duration::from_millis(2990)));
        assert_eq!(resident("Name:\tweir\nVmHWM:\t  20 kB\nVmRSS:\t   12 kB\n"), Some(12_288.0));
        assert_eq!((cpu("no parenthesis"), resident("VmRSS: lots")), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_knows_itself() {
        let families = Process::started_now().families();
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name() == name).unwrap();
            family.get_metric()[0].get_gauge().get_value()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_start_time_seconds") > 1.7e9);
        assert!(families.iter().any(|family| family.name() == "process_cpu_seconds_total"));
    }
}
