//! Any bytes as a request, to this codec and to hyper: what is accepted here has to be accepted
//! there, with the same method, target, fields, content and trailers.
//!
//! The differences that are known and wanted are listed with the comparison itself.
#![no_main]

#[path = "../../crates/h1/tests/hyper_peer/mod.rs"]
mod hyper_peer;

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

thread_local! {
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(hyper_peer::runtime);
}

fuzz_target!(|bytes: &[u8]| {
    RUNTIME.with(|runtime| {
        if let Err(difference) = hyper_peer::compare(runtime, bytes) {
            panic!("{difference}");
        }
    });
});
