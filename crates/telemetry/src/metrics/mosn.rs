//! The shapes of MOSN's admin API (`pkg/metrics/sink/console`, `pkg/admin/server/apis.go`).

use std::collections::BTreeMap;

use rosn_config::checked::StatsMatcher;
use serde::Serialize;

use super::{Registry, each_number, is_set_excluded};

type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

impl Registry {
    /// The body of `/api/v1/stats`: `{type: {"label.value": {key: "number"}}}`, indented by tabs as
    /// MOSN's. `key` is `?key=`: `type.label.value`, as in `downstream.proxy.global`, selects one
    /// set; `None` is returned where there is none of that name (MOSN answers
    /// `no metrics key: <key>` then).
    ///
    /// A histogram is shown as MOSN's `<key>_min` and `<key>_max`, in nanoseconds.
    pub fn stats_json(&self, exclude: &StatsMatcher, key: Option<&str>) -> Option<String> {
        let mut types: BTreeMap<String, Namespaces> = BTreeMap::new();
        for set in self.live() {
            let namespace = set.key.namespace();
            if key.is_some_and(|key| key != format!("{}.{namespace}", set.key.kind))
                || is_set_excluded(exclude, &set.key.labels)
            {
                continue;
            }
            let values = types.entry(set.key.kind).or_default().entry(namespace).or_default();
            each_number(&*set.source, exclude, &mut |name, number| {
                values.insert(name, number);
            });
        }
        if key.is_some() && types.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        types
            .serialize(&mut serde_json::Serializer::with_formatter(&mut out, indent))
            .expect("maps of strings are always valid JSON");
        Some(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    /// The body of `/api/v1/stats_glob`: `key:number` lines of the set `downstream` with the label
    /// `proxy="global"`, which counts over all listeners.
    pub fn stats_glob(&self, exclude: &StatsMatcher) -> String {
        let mut out = String::new();
        for set in self.live() {
            let is_global = set.key.kind == "downstream"
                && set.key.labels == [("proxy".to_owned(), "global".to_owned())];
            if !is_global || is_set_excluded(exclude, &set.key.labels) {
                continue;
            }
            each_number(&*set.source, exclude, &mut |name, number| {
                out.push_str(&format!("{name}:{number}\n"));
            });
        }
        out
    }
}
