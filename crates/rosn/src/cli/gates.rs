//! `--feature-gates A=true,B=false`.

use std::str::FromStr;

/// The gates that MOSN knows; all are closed unless opened.
const FEATURES: [&str; 4] =
    ["XdsMtlsEnable", "PayLoadLimitEnable", "MultiTenantMode", "auto_config"];

/// Which gates were opened or closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FeatureGates(Vec<(&'static str, bool)>);

impl FeatureGates {
    /// Every gate and whether it is open.
    pub(crate) fn all(&self) -> Vec<(String, bool)> {
        let open =
            |name| self.0.iter().rev().find(|gate| gate.0 == name).is_some_and(|gate| gate.1);
        FEATURES.iter().map(|name| ((*name).to_owned(), open(*name))).collect()
    }
}

impl FromStr for FeatureGates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let gates = text.split(',').map(str::trim).filter(|gate| !gate.is_empty());
        gates.map(gate).collect::<Result<_, _>>().map(Self)
    }
}

fn gate(text: &str) -> Result<(&'static str, bool), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("`{text}` has no value: write `{text}=true`"));
    };
    let Some(known) = FEATURES.into_iter().find(|known| *known == name.trim()) else {
        return Err(format!("no feature gate `{name}`: there are {}", FEATURES.join(", ")));
    };
    // The words of Go's strconv.ParseBool.
    match value.trim() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok((known, true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok((known, false)),
        other => Err(format!("`{name}` is true or false, not `{other}`")),
    }
}
