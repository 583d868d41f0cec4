//! The configuration in the shape of MOSN's dump: its parts by name.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Parts by name, in the order of their names.
pub(crate) type Named<'a> = BTreeMap<&'a str, &'a Value>;

/// A configuration taken apart.
pub(crate) struct Parts<'a> {
    whole: &'a Value,
    /// Listeners by name, or by address where they have none.
    pub(crate) listeners: Named<'a>,
    /// Routers by `router_config_name`, also those of the legacy `connection_manager` filter.
    pub(crate) routers: Named<'a>,
    /// Clusters by name.
    pub(crate) clusters: Named<'a>,
}

impl<'a> Parts<'a> {
    /// Takes a configuration apart; what is not in its place is left out.
    pub(crate) fn of(whole: &'a Value) -> Self {
        let listeners: Named<'a> = items(&whole["servers"][0]["listeners"])
            .filter_map(|listener| {
                let name = text(&listener["name"]).or(text(&listener["address"]))?;
                Some((name, listener))
            })
            .collect();
        let legacy = listeners
            .values()
            .flat_map(|listener| items(&listener["filter_chains"]))
            .flat_map(|chain| items(&chain["filters"]))
            .filter(|filter| filter["type"] == "connection_manager")
            .map(|filter| &filter["config"]);
        // The later one of the same name stays: `routers` wins over the legacy form.
        let routers = legacy
            .chain(items(&whole["servers"][0]["routers"]))
            .filter_map(|router| Some((text(&router["router_config_name"])?, router)))
            .collect();
        let clusters = items(&whole["cluster_manager"]["clusters"])
            .filter_map(|cluster| Some((text(&cluster["name"])?, cluster)))
            .collect();
        Self { whole, listeners, routers, clusters }
    }

    /// Everything that is not a listener, router, cluster or extension.
    pub(crate) fn process(&self) -> Value {
        let mut process = self.whole.clone();
        if let Some(process) = process.as_object_mut() {
            process.remove("extends");
        }
        if let Some(server) = process.pointer_mut("/servers/0").and_then(Value::as_object_mut) {
            server.remove("listeners");
            server.remove("routers");
        }
        if let Some(manager) = process.get_mut("cluster_manager").and_then(Value::as_object_mut) {
            manager.remove("clusters");
        }
        process
    }

    /// The whole dump: `mosn_config`, `listener`, `cluster`, `routers` and `extends`, the empty ones
    /// left out (MOSN's `effectiveConfig`).
    pub(crate) fn all(&self) -> Value {
        let mut dump = Map::new();
        dump.insert("mosn_config".into(), self.process());
        for (key, named) in
            [("listener", &self.listeners), ("cluster", &self.clusters), ("routers", &self.routers)]
        {
            if !named.is_empty() {
                dump.insert(key.into(), json!(named));
            }
        }
        let extends: Named<'_> = items(&self.whole["extends"])
            .filter_map(|extend| Some((text(&extend["type"])?, &extend["config"])))
            .collect();
        if !extends.is_empty() {
            dump.insert("extends".into(), json!(extends));
        }
        Value::Object(dump)
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_names() {
        let whole = json!({
            "servers": [{
                "default_log_path": "stdout",
                "listeners": [
                    {"name": "b", "address": "127.0.0.1:1"},
                    {"address": "127.0.0.1:2", "filter_chains": [{"filters": [
                        {"type": "connection_manager", "config": {"router_config_name": "old"}},
                        {"type": "connection_manager", "config": {"router_config_name": "r", "x": 1}},
                    ]}]},
                ],
                "routers": [{"router_config_name": "r", "x": 2}],
            }],
            "cluster_manager": {"tls_context": {}, "clusters": [{"name": "c"}, {"name": "a"}]},
            "extends": [{"type": "e", "config": {"y": 1}}],
            "admin": {},
        });
        let parts = Parts::of(&whole);
        assert_eq!(parts.listeners.keys().collect::<Vec<_>>(), [&"127.0.0.1:2", &"b"]);
        assert_eq!(parts.routers.keys().collect::<Vec<_>>(), [&"old", &"r"]);
        assert_eq!(parts.routers["r"]["x"], 2);
        assert_eq!(
            parts.process(),
            json!({
                "servers": [{"default_log_path": "stdout"}],
                "cluster_manager": {"tls_context": {}},
                "admin": {},
            })
        );
        let all = parts.all();
        assert_eq!(
            all.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["mosn_config", "listener", "cluster", "routers", "extends"]
        );
        assert_eq!(all["cluster"]["a"], json!({"name": "a"}));
        assert_eq!(all["extends"], json!({"e": {"y": 1}}));
    }

    #[test]
    fn odd_shapes_are_left_out() {
        for whole in [json!(null), json!([]), json!({"servers": 3}), json!({"servers": [[]]})] {
            let parts = Parts::of(&whole);
            assert!(parts.listeners.is_empty());
            assert_eq!(parts.all(), json!({"mosn_config": whole}));
        }
    }
}
