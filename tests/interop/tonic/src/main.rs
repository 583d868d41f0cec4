//! tonic as a client or as a server of `interop.Echo`, of which `../over_grpc/servers.py` says what its methods do.
//!
//! ```text
//! tonic-peer server [CERTIFICATE KEY]   prints its port
//! tonic-peer client PORT [CA]           prints how many checks held
//! ```

mod client;
mod codec;
mod server;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SERVICE: &str = "/interop.Echo/";
/// What a call that fails brings with it.
const DETAILS: &[u8] = b"\x08\x05\x12\x02no\x00\xff";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server"] => server::run(None).await,
        ["server", certificate, key] => server::run(Some((certificate, key))).await,
        ["client", port] => client::run(port, None).await,
        ["client", port, ca] => client::run(port, Some(ca)).await,
        _ => Err("tonic-peer server [CERTIFICATE KEY], or tonic-peer client PORT [CA]".into()),
    }
}
