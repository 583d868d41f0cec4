//! The hooks of the configuration's `sockets`, for all sockets of the process.

use std::sync::Arc;

use rosn_config::checked::{ConnectFault, FaultEffect, SocketHooks};
use rosn_net::hook::{
    AcceptLimit, AcceptLimits, BindTo, Call, DialLog, Effect, Fault, Faults, HookGuard,
    ListenLimit, Mark, SocketHook, TransparentListen, install,
};
use serde_json::Value;

/// Hooks in force until this is dropped. Without `sockets` in the configuration there are none, and no socket call pays
/// for them.
#[derive(Default)]
pub(crate) struct Hooks {
    rules: Faults,
    faults: Vec<ConnectFault>,
    /// Installed with the first fault.
    faulty: Option<HookGuard>,
    _installed: Vec<HookGuard>,
}

impl Hooks {
    /// Installs what the configuration asks for.
    pub(crate) fn install(config: &SocketHooks) -> Self {
        let mut hooks =
            Self { _installed: hooks(config).map(install).collect(), ..Self::default() };
        hooks.set_faults(config.faults.clone());
        hooks
    }

    /// Puts these faults in the place of those before.
    pub(crate) fn set_faults(&mut self, faults: Vec<ConnectFault>) {
        self.rules.replace(faults.iter().map(fault).collect());
        if faults.is_empty() {
            self.faulty = None;
        } else if self.faulty.is_none() {
            self.faulty = Some(install(Arc::new(self.rules.clone())));
        }
        self.faults = faults;
    }

    /// The faults in force, as the configuration has them.
    pub(crate) fn faults(&self) -> Value {
        self.faults.iter().map(ConnectFault::to_json).collect()
    }
}

/// One hook for each key that is set.
fn hooks(config: &SocketHooks) -> impl Iterator<Item = Arc<dyn SocketHook>> {
    let accept = AcceptLimits {
        total: config.accept_total.map(|limit| limit as usize),
        per_listener: config.accept_per_listener.map(|limit| limit as usize),
        per_client: config.accept_per_client.map(|limit| limit as usize),
    };
    let device = Some(config.device.as_str()).filter(|device| !device.is_empty());
    [
        config.listen_limit.map(|limit| hook(ListenLimit::new(limit as usize))),
        (accept != AcceptLimits::default()).then(|| hook(AcceptLimit::new(accept))),
        config.dial_log.then(|| hook(DialLog::new())),
        (config.mark != 0).then(|| hook(Mark(config.mark))),
        config.bind.map(|ip| hook(BindTo::Address(ip))),
        device.map(|device| hook(BindTo::Device(device.into()))),
        config.tproxy.then(|| hook(TransparentListen)),
    ]
    .into_iter()
    .flatten()
}

fn hook(hook: impl SocketHook) -> Arc<dyn SocketHook> {
    Arc::new(hook)
}

fn fault(fault: &ConnectFault) -> Fault {
    Fault {
        owner: fault.cluster.as_str().into(),
        call: Call::Connect,
        percent: fault.percent,
        effect: match fault.effect {
            FaultEffect::Fail(kind) => Effect::Fail(kind),
            FaultEffect::Delay(time) => Effect::Delay(time),
        },
    }
}
