//! The HTTP API as the workstation sees it: something that can be started and
//! stopped, and that counts its requests. The server sits above and gives
//! itself here at wiring.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use tokio::sync::{Mutex, watch};

use super::{ApiState, Workstation, WorkstationError};

/// What `ApiServer::start` gives.
pub type Starting =
    Pin<Box<dyn Future<Output = Result<Box<dyn RunningApi>, WorkstationError>> + Send>>;

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
    ) -> Starting;
}

/// An API that serves.
pub trait RunningApi: Send + Sync {
    fn address(&self) -> SocketAddr;

    /// Takes no new requests and gives those running a moment to end.
    fn stop(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The API of one workstation, on or off.
pub(super) struct ApiControl {
    server: Arc<dyn ApiServer>,
    state: Arc<watch::Sender<ApiState>>,
    /// Held while the API is being switched, so that two switches do not mix.
    running: Mutex<Option<Box<dyn RunningApi>>>,
}

impl ApiControl {
    pub fn new(server: Arc<dyn ApiServer>) -> Self {
        Self {
            server,
            state: Arc::new(watch::Sender::new(ApiState::Off)),
            running: Mutex::new(None),
        }
    }

    pub fn state(&self) -> watch::Receiver<ApiState> {
        self.state.subscribe()
    }

    /// Starts the API; one that runs already stays as it is.
    pub async fn start(
        &self,
        workstation: Workstation,
        host: String,
        port: u16,
        api_key: Option<String>,
    ) -> Result<SocketAddr, WorkstationError> {
        let mut running = self.running.lock().await;
        if let Some(api) = &*running {
            return Ok(api.address());
        }
        match self.server.start(workstation, host, port, api_key).await {
            Ok(api) => {
                let address = api.address();
                *running = Some(api);
                self.state.send_replace(ApiState::On {
                    address,
                    live: 0,
                    served: 0,
                });
                tracing::info!(%address, "the HTTP API is on");
                Ok(address)
            }
            Err(error) => {
                tracing::error!(%error, "the HTTP API could not be started");
                self.state.send_replace(ApiState::Failed(error.to_string()));
                Err(error)
            }
        }
    }

    /// Stops the API if it is on.
    pub async fn stop(&self) {
        let mut running = self.running.lock().await;
        if let Some(api) = running.take() {
            api.stop().await;
            tracing::info!("the HTTP API is off");
        }
        self.state.send_replace(ApiState::Off);
    }

    /// Counts one request as live until the returned value goes.
    pub fn call(&self) -> ApiCall {
        self.state.send_if_modified(|state| match state {
            ApiState::On { live, .. } => {
                *live += 1;
                true
            }
            ApiState::Off | ApiState::Failed(_) => false,
        });
        ApiCall {
            state: Arc::clone(&self.state),
        }
    }
}

/// A request that the API is answering.
pub struct ApiCall {
    state: Arc<watch::Sender<ApiState>>,
}

impl Drop for ApiCall {
    fn drop(&mut self) {
        self.state.send_if_modified(|state| match state {
            ApiState::On { live, served, .. } => {
                *live = live.saturating_sub(1);
                *served += 1;
                true
            }
            ApiState::Off | ApiState::Failed(_) => false,
        });
    }
}
