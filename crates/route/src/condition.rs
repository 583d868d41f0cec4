//! What a route asks for beside what the index of paths has found.

use std::sync::Arc;

use regex::bytes::Regex;
use rosn_config::checked::{Join, Match, MatchKind, ValueMatch, VariableMatch};
use rosn_config::{Variable, Variables};

use crate::path::Key;
use crate::regexes::Regexes;
use crate::{Input, RouteFault};

/// All of it must hold.
#[derive(Debug)]
pub(crate) struct Conditions {
    kind: Kind,
    headers: Box<[HeaderCondition]>,
}

#[derive(Debug)]
enum Kind {
    /// The index has told all.
    Indexed,
    /// Exactly this path, with regard to case.
    Path(Box<[u8]>),
    Search(Arc<Regex>),
    Variables(Box<[VariableCondition]>),
    Never,
}

#[derive(Debug)]
struct HeaderCondition {
    /// `None` for the method.
    name: Option<Box<str>>,
    value: ValueCondition,
}

#[derive(Debug)]
struct VariableCondition {
    variable: Variable,
    value: ValueCondition,
    join: Join,
}

#[derive(Debug)]
enum ValueCondition {
    Exact(Box<[u8]>),
    Search(Arc<Regex>),
    Any,
}

/// How the index finds a route.
pub(crate) fn key(matcher: &Match) -> Key<'_> {
    match &matcher.kind {
        MatchKind::Prefix(prefix) => Key::Prefix(prefix),
        MatchKind::Path { path, .. } => Key::Exact(path),
        MatchKind::Regex(pattern) => Key::Search(pattern),
        MatchKind::Variables(_) | MatchKind::Expressions(_) | MatchKind::Headers => Key::None,
    }
}

impl Conditions {
    pub(crate) fn compile(matcher: &Match, regexes: &mut Regexes) -> Result<Self, RouteFault> {
        let kind = match &matcher.kind {
            MatchKind::Prefix(_) | MatchKind::Headers => Kind::Indexed,
            MatchKind::Path { case_sensitive: false, .. } => Kind::Indexed,
            MatchKind::Path { path, case_sensitive: true } => Kind::Path(path.as_bytes().into()),
            MatchKind::Regex(pattern) => Kind::Search(regexes.compile(pattern)?),
            MatchKind::Variables(variables) => {
                let compile = |condition: &VariableMatch| {
                    Ok::<_, RouteFault>(VariableCondition {
                        variable: condition.variable.clone(),
                        value: ValueCondition::compile(&condition.value, regexes)?,
                        join: condition.join,
                    })
                };
                Kind::Variables(variables.iter().map(compile).collect::<Result<_, _>>()?)
            }
            MatchKind::Expressions(_) => Kind::Never,
        };
        let headers = matcher.headers.iter().map(|header| {
            Ok::<_, RouteFault>(HeaderCondition {
                name: (header.name != "method").then(|| header.name.to_ascii_lowercase().into()),
                value: ValueCondition::compile(&header.value, regexes)?,
            })
        });
        Ok(Self { kind, headers: headers.collect::<Result<_, _>>()? })
    }

    /// True where nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty() && matches!(self.kind, Kind::Indexed)
    }

    /// `scratch` is overwritten.
    pub(crate) fn hold(&self, input: &Input<'_>, scratch: &mut Vec<u8>) -> bool {
        self.headers.iter().all(|header| header.holds(input))
            && match &self.kind {
                Kind::Indexed => true,
                Kind::Path(path) => **path == *input.path,
                Kind::Search(regex) => regex.is_match(input.path),
                Kind::Variables(conditions) => all_hold(conditions, input.variables, scratch),
                Kind::Never => false,
            }
    }

    /// The same for a request that has no path: what is asked of the path is not looked at.
    pub(crate) fn hold_without_path(&self, input: &Input<'_>, scratch: &mut Vec<u8>) -> bool {
        self.headers.iter().all(|header| header.holds(input))
            && match &self.kind {
                Kind::Indexed | Kind::Path(_) | Kind::Search(_) => true,
                Kind::Variables(conditions) => all_hold(conditions, input.variables, scratch),
                Kind::Never => false,
            }
    }
}

impl HeaderCondition {
    fn holds(&self, input: &Input<'_>) -> bool {
        match &self.name {
            None => self.value.holds(input.method),
            Some(name) => input.headers.value(name).is_some_and(|value| self.value.holds(value)),
        }
    }
}

/// From left to right, `and` before `or`, as MOSN does it: what stands behind an `or` is looked at
/// only where what stands before does not hold. A variable without a value is the empty text.
fn all_hold(
    conditions: &[VariableCondition],
    variables: &dyn Variables,
    scratch: &mut Vec<u8>,
) -> bool {
    let mut holds = true;
    let mut join = Join::And;
    for condition in conditions {
        if holds || join == Join::Or {
            scratch.clear();
            let present = variables.write(&condition.variable, scratch);
            holds = match condition.value {
                ValueCondition::Any => present,
                _ => condition.value.holds(scratch),
            };
        }
        join = condition.join;
        if holds && join == Join::Or {
            return true;
        }
    }
    holds
}

impl ValueCondition {
    fn compile(value: &ValueMatch, regexes: &mut Regexes) -> Result<Self, RouteFault> {
        Ok(match value {
            ValueMatch::Exact(text) => Self::Exact(text.as_bytes().into()),
            ValueMatch::Regex(pattern) => Self::Search(regexes.compile(pattern)?),
            ValueMatch::Any => Self::Any,
        })
    }

    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => **text == *value,
            Self::Search(regex) => regex.is_match(value),
            Self::Any => true,
        }
    }
}
