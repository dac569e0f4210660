//! The HTTP API as the workstation sees it: something that can be started and
//! stopped. The server sits above and gives itself here at wiring.

use std::{net::SocketAddr, pin::Pin};

use super::{Workstation, WorkstationError};

/// Makes a running API. `server` implements it.
pub trait ApiServer: Send + Sync + 'static {
    /// Listens on `host:port` (0 takes a free port) and serves in the
    /// background until the returned value is stopped or dropped.
    fn start(
        &self,
        workstation: Workstation,
        host: String,
        port: u16,
        api_key: Option<String>,
    ) -> Pin<Box<dyn Future<Output = Result<Box<dyn RunningApi>, WorkstationError>> + Send>>;
}

/// An API that serves.
pub trait RunningApi: Send + Sync {
    fn address(&self) -> SocketAddr;

    /// Takes no new requests and gives those running a moment to end.
    fn stop(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
