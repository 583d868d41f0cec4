//! The Prometheus text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;

use rosn_base::stats::{BUCKETS_MICROS, HistogramSnapshot, Value};
use rosn_config::checked::StatsMatcher;

use super::process::Process;
use super::{Live, Registry, is_excluded, is_set_excluded, min_max};

/// One metric's values: the labels of each, rendered, without braces.
type Samples<'a> = Vec<(&'a str, Value)>;

impl Registry {
    /// The body of a scrape (`text/plain; version=0.0.4`).
    ///
    /// Names are MOSN's: `<type>_<key>{labels}`, a counter gets no further `_total`. A histogram is
    /// shown as MOSN's gauges `<type>_<key>_min` and `_max`, in nanoseconds as there, and as a
    /// native histogram `<type>_<key>_seconds`. The order is stable: by type, then key, then labels.
    ///
    /// `exclude` leaves out what the configuration says; `process` adds the metrics of the process
    /// and MOSN's `meta`.
    pub fn prometheus(&self, exclude: &StatsMatcher, process: bool) -> String {
        let live = self.live();
        let shown: Vec<(&Live, String)> = live
            .iter()
            .filter(|set| !is_set_excluded(exclude, &set.key.labels))
            .map(|set| (set, render_labels(&set.key.labels)))
            .collect();
        let mut metrics: BTreeMap<(&str, &'static str), Samples<'_>> = BTreeMap::new();
        for (set, labels) in &shown {
            set.source.visit(&mut |key, value| {
                if !is_excluded(exclude, key) {
                    metrics.entry((&set.key.kind, key)).or_default().push((labels, value));
                }
            });
        }
        let mut out = String::new();
        if process {
            Process::read().write(&mut out);
            self.write_meta(&mut out);
        }
        for ((kind, key), samples) in &metrics {
            write_metric(&metric_name(&format!("{kind}_{key}")), kind, key, samples, &mut out);
        }
        out
    }

    fn write_meta(&self, out: &mut String) {
        let version = metric_name(&format!("meta_version:{}", self.version));
        let labels = "mosn=\"info\"";
        write_head(&version, "gauge", "The version is in the name.", out);
        write_sample(&version, labels, 1, out);
        write_head("meta_mosn_state_code", "gauge", "The state; 6 is running.", out);
        write_sample("meta_mosn_state_code", labels, self.state(), out);
    }
}

fn write_metric(name: &str, kind: &str, key: &str, samples: &Samples<'_>, out: &mut String) {
    let help = format!("{} of {kind}.", key.replace('_', " "));
    match samples[0].1 {
        Value::Counter(_) => write_head(name, "counter", &help, out),
        Value::Gauge(_) => write_head(name, "gauge", &help, out),
        Value::Histogram(_) => return write_histograms(name, &help, samples, out),
    }
    for (labels, value) in samples {
        match value {
            Value::Counter(number) => write_sample(name, labels, number, out),
            Value::Gauge(number) => write_sample(name, labels, number, out),
            // Two sources that disagree about the kind of one key: the first one is shown.
            Value::Histogram(_) => {}
        }
    }
}

fn write_histograms(name: &str, help: &str, samples: &Samples<'_>, out: &mut String) {
    let histograms = || {
        samples.iter().filter_map(|(labels, value)| match value {
            Value::Histogram(histogram) => Some((*labels, &**histogram)),
            Value::Counter(_) | Value::Gauge(_) => None,
        })
    };
    let (min_name, max_name) = (format!("{name}_min"), format!("{name}_max"));
    write_head(&min_name, "gauge", &format!("{help} Shortest, in nanoseconds."), out);
    histograms().for_each(|(labels, h)| write_sample(&min_name, labels, min_max(h).0, out));
    write_head(&max_name, "gauge", &format!("{help} Longest, in nanoseconds."), out);
    histograms().for_each(|(labels, h)| write_sample(&max_name, labels, min_max(h).1, out));
    let name = format!("{name}_seconds");
    write_head(&name, "histogram", &format!("{help} In seconds."), out);
    histograms().for_each(|(labels, histogram)| write_histogram(&name, labels, histogram, out));
}

fn write_histogram(name: &str, labels: &str, histogram: &HistogramSnapshot, out: &mut String) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut count = 0;
    for (at, in_bucket) in histogram.buckets.iter().enumerate() {
        count += in_bucket;
        let bound = BUCKETS_MICROS.get(at).map_or("+Inf".to_owned(), |micros| seconds(*micros));
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
    }
    write_sample(&format!("{name}_sum"), labels, seconds(histogram.sum_micros), out);
    write_sample(&format!("{name}_count"), labels, count, out);
}

fn write_head(name: &str, kind: &str, help: &str, out: &mut String) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn write_sample(name: &str, labels: &str, value: impl std::fmt::Display, out: &mut String) {
    let _ = if labels.is_empty() {
        writeln!(out, "{name} {value}")
    } else {
        writeln!(out, "{name}{{{labels}}} {value}")
    };
}

/// Microseconds as seconds, exactly.
fn seconds(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:06}").trim_end_matches('0').to_owned()
}

/// A name that Prometheus takes: `[a-zA-Z_:][a-zA-Z0-9_:]*`; other characters become `_`, as in
/// MOSN.
fn metric_name(name: &str) -> String {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut name: String = name.chars().map(|c| if valid(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// `listener="web",proxy="global"`, with what the format needs escaped.
fn render_labels(labels: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in labels {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&metric_name(name).replace(':', "_"));
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out
}
