//! Listening: the address, the refusal of open doors, and the orderly end.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{guard::Guard, router};
use crate::workstation::{ApiServer, RunningApi, Workstation, WorkstationError};

/// How long running answers may take once the server is to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Makes HTTP servers for the workstation.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpServer;

impl ApiServer for HttpServer {
    fn start(
        &self,
        workstation: Workstation,
        host: String,
        port: u16,
        api_key: Option<String>,
    ) -> Pin<Box<dyn Future<Output = Result<Box<dyn RunningApi>, WorkstationError>> + Send>> {
        Box::pin(async move {
            let guard = Guard::new(api_key);
            let listener = bind(&host, port, guard.has_key()).await?;
            let app = router(workstation, guard);
            let running = Running::spawn(listener, app).map_err(WorkstationError::Api)?;
            Ok(Box::new(running) as Box<dyn RunningApi>)
        })
    }
}

/// Opens the port; without a key on loopback only.
async fn bind(host: &str, port: u16, has_key: bool) -> Result<TcpListener, WorkstationError> {
    let addresses = resolve(host, port).await.map_err(WorkstationError::Api)?;
    if let Some(open) = addresses.iter().find(|address| !is_loopback(address.ip()))
        && !has_key
    {
        return Err(WorkstationError::Api(format!(
            "refusing to listen on {open}: other machines could use it, and there is no API key. \
             Give one (--api-key, or api_key under [api] in settings.toml) or listen on 127.0.0.1."
        )));
    }
    TcpListener::bind(addresses.as_slice())
        .await
        .map_err(|error| WorkstationError::Api(bind_problem(host, port, &error)))
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<_> = tokio::net::lookup_host((bare, port))
        .await
        .map_err(|error| format!("the host {host:?} could not be resolved: {error}."))?
        .collect();
    match found.is_empty() {
        true => Err(format!("the host {host:?} has no address.")),
        false => Ok(found),
    }
}

/// Loopback, also where IPv6 wraps an IPv4 address.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// The message for a port that another program has.
pub fn port_in_use(host: &str, port: u16) -> String {
    format!(
        "port {port} on {host} is in use. Choose another with --port, or stop the other program."
    )
}

fn bind_problem(host: &str, port: u16, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => port_in_use(host, port),
        std::io::ErrorKind::PermissionDenied => format!(
            "port {port} on {host} needs rights that this user lacks. Choose one above 1023 with --port."
        ),
        std::io::ErrorKind::AddrNotAvailable => {
            format!("{host} is no address of this machine. Choose another with --host.")
        }
        _ => format!("cannot listen on {host}:{port}: {error}."),
    }
}

/// A server that runs; it ends when this is dropped.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    fn spawn(listener: TcpListener, app: Router) -> Result<Self, String> {
        let address = listener
            .local_addr()
            .map_err(|error| format!("the port has no address: {error}."))?;
        let (stop, stopped) = oneshot::channel::<()>();
        // Tokens are small packets that must not wait for one another.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
        });
        let task = tokio::spawn(async move {
            let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
                // A dropped sender means stop as well.
                let _ = stopped.await;
            });
            if let Err(error) = serving.await {
                tracing::error!(%error, "the HTTP API failed");
            }
        });
        Ok(Self {
            address,
            stop: Some(stop),
            task: Some(task),
        })
    }
}

impl RunningApi for Running {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn stop(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            drop(self.stop.take());
            let Some(mut task) = self.task.take() else {
                return;
            };
            if tokio::time::timeout(GRACE, &mut task).await.is_err() {
                tracing::warn!("answers were still running; they are cut off");
                task.abort();
            }
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn open_doors_need_a_key() {
        let error = bind("0.0.0.0", 0, false).await.unwrap_err().to_string();
        assert!(error.contains("API key"), "{error}");
        assert!(bind("0.0.0.0", 0, true).await.is_ok());
        assert!(bind("127.0.0.1", 0, false).await.is_ok());
        assert!(bind("localhost", 0, false).await.is_ok());
    }

    #[tokio::test]
    async fn a_port_in_use_is_said_so() {
        let first = bind("127.0.0.1", 0, false).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let error = bind("127.0.0.1", port, false).await.unwrap_err();
        assert!(
            error.to_string().contains(&format!("port {port}")),
            "{error}"
        );
        assert!(error.to_string().contains("in use"));
    }

    #[tokio::test]
    async fn a_host_that_is_none_is_named() {
        let error = bind("no such host", 0, false).await.unwrap_err();
        assert!(error.to_string().contains("no such host"), "{error}");
    }
}
