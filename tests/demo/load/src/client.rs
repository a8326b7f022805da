//! A keep-alive HTTP/1.1 client over hyper: idle connections taken in turn, so that none idles long enough for the
//! server to close it, and a new one whenever none is idle.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The status, whether a `Retry-After` came with it, and which process says it was (`X-Process`; 0: none says).
    Answer {
        status: u16,
        retry_after: bool,
        process: u32,
    },
    Timeout,
    /// The server refused or dropped the connection.
    Dropped,
    /// This machine could not send: no port or no file descriptor left. Does not count as offered.
    NotSent,
}

type Connection = SendRequest<Full<Bytes>>;

#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    host: String,
    path: String,
    idle: Mutex<VecDeque<Connection>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, path: String) -> Self {
        Self { address, host: address.to_string(), path, idle: Mutex::default() }
    }

    /// Opens connections before the clock starts, as the proxies in front of a service keep some open, and asks each
    /// for `/healthz`: one that only waits to be accepted is not open yet.
    pub(crate) async fn warm(self: &Arc<Self>, connections: u64) {
        let mut opening = JoinSet::new();
        for _ in 0..connections {
            let client = self.clone();
            opening.spawn(async move {
                let get = Request::get("/healthz").header(HOST, client.host.as_str()).body(Full::default());
                if let Ok(mut connection) = client.connect().await
                    && let Ok(response) = connection.send_request(get.expect("a valid request")).await
                {
                    client.finish(connection, response).await;
                }
            });
        }
        opening.join_all().await;
    }

    /// Posts a JSON body. The time allowed counts from `planned`, when the request should have left.
    pub(crate) async fn post(&self, body: String, allowed: Duration, planned: Instant) -> Outcome {
        let end = planned + allowed;
        match timeout_at(end, self.exchange(Bytes::from(body))).await {
            Ok(outcome) if Instant::now() <= end => outcome,
            _ => Outcome::Timeout, // the connection goes with the future, as when a customer gives up
        }
    }

    async fn exchange(&self, body: Bytes) -> Outcome {
        let mut request = Request::post(self.path.as_str())
            .header(HOST, self.host.as_str())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("a valid request");
        while let Some(mut connection) = self.take_idle() {
            match connection.try_send_request(request).await {
                Ok(response) => return self.finish(connection, response).await,
                // The server closed an idle connection just now and has not seen the request: take another one.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Outcome::Dropped,
                },
            }
        }
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(outcome) => return outcome,
        };
        match connection.send_request(request).await {
            Ok(response) => self.finish(connection, response).await,
            Err(_) => Outcome::Dropped,
        }
    }

    /// The connection that has been idle longest, if it is still open.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let connection = idle.pop_front()?;
            if connection.is_ready() {
                return Some(connection);
            }
        }
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push_back(connection);
    }

    async fn connect(&self) -> Result<Connection, Outcome> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| blame(&error))?;
        stream.set_nodelay(true).map_err(|error| blame(&error))?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await.map_err(|_| Outcome::Dropped)?;
        tokio::spawn(driver);
        Ok(connection)
    }

    async fn finish(&self, connection: Connection, response: Response<Incoming>) -> Outcome {
        let status = response.status().as_u16();
        let retry_after = response.headers().contains_key(RETRY_AFTER);
        let process = response.headers().get("x-process").and_then(|value| value.to_str().ok()?.parse().ok());
        if response.into_body().collect().await.is_err() {
            return Outcome::Dropped;
        }
        self.give_back(connection);
        Outcome::Answer { status, retry_after, process: process.unwrap_or(0) }
    }
}

/// Whose fault a failed connection is: the server's, or this machine's for want of ports or file descriptors.
fn blame(error: &io::Error) -> Outcome {
    const OUT_OF_FILES: [i32; 2] = [23, 24]; // ENFILE, EMFILE
    let ours = error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error().is_some_and(|code| OUT_OF_FILES.contains(&code));
    if ours { Outcome::NotSent } else { Outcome::Dropped }
}
