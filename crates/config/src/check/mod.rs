//! From raw values to a checked configuration. Every fault is reported; none ends the check.

mod access_log;
mod action;
mod address;
mod chain;
mod cluster;
mod dns;
mod headers;
mod health;
mod http2;
mod listener;
mod metrics;
mod pem;
mod proxy;
mod route;
mod router;
mod server;
mod sockets;
pub(crate) mod stream;
mod stream_filters;
mod stream_proxy;
mod tls;
mod tunnel;

#[cfg(test)]
mod tests;

pub use sockets::faults;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Defaults;
use crate::checked::{BalancerKind, Cluster, Config};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{Extend, ExtendType, Field, Mosn, Server};
use crate::template::{self, Template, Variable};
use crate::text::Span;

/// Names that other parts refer to.
pub(crate) struct Names {
    /// The clusters. Those with a fault are here too, so that it is not reported as a missing name.
    clusters: BTreeMap<Arc<str>, ClusterFacts>,
}

/// What routes must know of a cluster.
#[derive(Clone, Copy)]
struct ClusterFacts {
    maglev: bool,
    /// Its connections are sockets with nothing above them.
    plain: bool,
}

/// Checks a whole configuration. What comes out is complete only where no error was reported.
pub(crate) fn check(mosn: &Mosn, defaults: &Defaults, context: &mut Context<'_>) -> Option<Config> {
    let clusters = cluster::clusters(mosn, context);
    let names = Names { clusters: cluster::names(&clusters) };
    let server = one_server(mosn, context);
    let routers = router::routers(server, &names, context);
    let listeners = listener::listeners(server, &routers, &names, defaults, context);
    let admin = server::admin(mosn, context);
    let metrics = metrics::metrics(mosn, context);
    address::check(server, mosn, context);
    tracing(mosn, context);
    extensions(mosn, context);
    Some(Config {
        server: server::server(mosn, server, defaults, context),
        listeners: listeners.into_iter().map(Arc::new).collect(),
        routers: routers.into_iter().map(|(name, r)| (name, Arc::new(r.router))).collect(),
        clusters: clusters.into_iter().map(|(name, c)| (name, Arc::new(c))).collect(),
        admin,
        metrics,
        sockets: sockets::sockets(mosn, &names, context),
    })
}

/// The one server; none is right only for an xDS bootstrap.
fn one_server<'m>(mosn: &'m Mosn, context: &mut Context<'_>) -> Option<&'m Server> {
    let servers = mosn.servers.items();
    let bootstrap =
        mosn.static_resources.value().is_some() || mosn.dynamic_resources.value().is_some();
    let span = mosn.servers.span_or(mosn.span);
    match servers {
        [_] => {}
        [] if bootstrap || matches!(mosn.servers, Field::Faulty) => {}
        [] => {
            let fault = Fault::error(span, "missing-server", "there is no server");
            context.add(fault.help("`servers` is an array with exactly one server"));
        }
        [_, second, ..] => {
            let message = format!("there are {} servers", servers.len());
            let fault = Fault::error(second.span, "many-servers", message);
            context.add(fault.help("put all listeners and routers into one server"));
        }
    }
    servers.first()
}

fn tracing(mosn: &Mosn, context: &mut Context<'_>) {
    let Some((tracing, span)) = mosn.tracing.spanned() else { return };
    if let Some((driver, span)) = tracing.driver.spanned()
        && !crate::format::TracingDriver::CHOICES.contains(&driver.0.as_str())
        && !driver.0.is_empty()
    {
        let message = format!("no tracing driver is named `{}`", driver.0);
        let fault = Fault::warning(span, "unknown-tracing-driver", message);
        context
            .add(fault.suggest(&driver.0, crate::format::TracingDriver::CHOICES.iter().copied()));
    }
    if tracing.enable.or(false) {
        context.add(not_yet(span, "tracing: requests are served without traces"));
    }
}

/// What extends the proxy beside its listeners.
fn extensions(mosn: &Mosn, context: &mut Context<'_>) {
    for extend in mosn.extends.items() {
        extension(extend, context);
    }
    let codecs = mosn.third_part_codec.value().map(|codecs| codecs.codecs.items());
    for codec in codecs.unwrap_or_default() {
        if codec.enable.or(false) {
            context.add(not_yet(codec.span, "protocols from plugins"));
        }
    }
}

fn extension(extend: &Extend, context: &mut Context<'_>) {
    let Some((kind, span)) = extend.r#type.spanned() else {
        return missing(extend.span, "type", context);
    };
    match kind.0.as_str() {
        "holmes" | "transcoder_plugin" => {
            let message =
                format!("the extension `{}` needs a proxy written in Go and is not run", kind.0);
            context.add(Fault::notice(span, "go-only", message));
        }
        known if ExtendType::CHOICES.contains(&known) => {
            context.add(not_yet(span, &format!("the extension `{known}`")));
        }
        other => {
            let message = format!("no extension is named `{other}`; it is ignored");
            let fault = Fault::warning(span, "unknown-extension", message);
            context.add(fault.suggest(other, ExtendType::CHOICES.iter().copied()));
        }
    }
}

/// Reports something that this build does not do.
fn not_yet(span: Span, what: &str) -> Fault {
    Fault::notice(span, "not-yet-active", format!("not yet active: {what}"))
}

/// Reports a key that must be there.
fn missing(object: Span, key: &str, context: &mut Context<'_>) {
    context.add(Fault::error(object, "missing-key", format!("`{key}` is missing")));
}

impl Names {
    /// The cluster of that name; reports where there is none.
    fn cluster(&self, name: &str, span: Span, context: &mut Context<'_>) -> Option<Arc<str>> {
        if let Some((name, _)) = self.clusters.get_key_value(name) {
            return Some(name.clone());
        }
        let message = format!("no cluster is named `{name}`");
        let fault = Fault::error(span, "unknown-cluster", message);
        context.add(fault.suggest(name, self.clusters.keys().map(AsRef::as_ref)));
        None
    }

    /// Whether the connections of a cluster are sockets with nothing above them.
    fn is_plain(&self, name: &str) -> bool {
        self.clusters.get(name).is_none_or(|facts| facts.plain)
    }

    /// Whether a cluster needs a hash of its requests.
    fn is_maglev(&self, name: &str) -> bool {
        self.clusters.get(name).is_some_and(|facts| facts.maglev)
    }
}

impl ClusterFacts {
    fn of(cluster: &Cluster) -> Self {
        Self {
            maglev: cluster.balancer == BalancerKind::Maglev,
            plain: cluster.tls.is_none()
                && cluster.stream.as_ref().is_none_or(|settings| settings.is_plain()),
        }
    }
}

/// Compiles a line of an access log; names that mean nothing are reported.
fn log_template(text: &str, span: Span, context: &mut Context<'_>) -> Option<Template> {
    let template = template(text, span, context)?;
    for name in template.unknown_variables() {
        let message = format!("no variable is named `{name}`; `-` stands in its place");
        let fault = Fault::warning(span, "unknown-variable", message);
        context.add(fault.suggest(name, template::variable_names().iter().copied()));
    }
    Some(template)
}

/// Compiles the value of a header, in which what is no variable stands for itself (`a%20b%20c`). Only
/// what looks like the name of a variable is reported.
fn header_template(text: &str, span: Span, context: &mut Context<'_>) -> Option<Template> {
    let template = template(text, span, context)?;
    for name in template.unknown_variables() {
        if let Some(near) =
            crate::suggest::suggest(name, template::variable_names().iter().copied())
        {
            let message = format!("no variable is named `{name}`; it stands as it is");
            let fault = Fault::warning(span, "unknown-variable", message);
            context.add(fault.help(format!("did you mean `{near}`?")));
        }
    }
    Some(template.with_unknown_as_text())
}

fn template(text: &str, span: Span, context: &mut Context<'_>) -> Option<Template> {
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(error) => {
            context.add(Fault::error(span, "bad-template", error.to_string()));
            None
        }
    }
}

/// The variable of that name; reports where there is none.
fn variable(name: &str, span: Span, context: &mut Context<'_>) -> Option<Variable> {
    let variable = Variable::parse(name);
    if variable.is_none() {
        let message = format!("no variable is named `{name}`");
        let fault = Fault::error(span, "unknown-variable", message);
        context.add(fault.suggest(name, template::variable_names().iter().copied()));
    }
    variable
}

/// Compiles a regular expression to see that it is one, and tells how many groups it has.
fn expression(pattern: &str, span: Span, context: &mut Context<'_>) -> Option<usize> {
    match regex::Regex::new(pattern) {
        Ok(regex) => Some(regex.captures_len() - 1),
        Err(error) => {
            // The last line says what is wrong; those before it draw the place.
            let text = error.to_string();
            let cause = text.lines().last().unwrap_or_default().trim();
            let cause = cause.strip_prefix("error: ").unwrap_or(cause);
            let message = format!("this is not a regular expression: {cause}");
            let fault = Fault::error(span, "bad-regex", message);
            context.add(if cause.contains("look-around") {
                fault.help("expressions are those of RE2, as in MOSN: they have no look-around")
            } else {
                fault
            });
            None
        }
    }
}
