//! A breaker by host before hyper's client, against real servers.

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use tidegate::breaker::registry::{BreakerRegistry, RegistryConfig};
use tidegate::breaker::{CallError, State};
use tidegate::http::Answer;
use tidegate::outcome::{Classified, MAX_RETRY_AFTER, Outcome};
use tidegate::tower::{ForRequest, PolicyLayer};
use tidegate::{BreakerConfig, CircuitBreaker, Clock, ManualClock};
use tokio::net::{TcpListener, TcpSocket};
use tower::{Service, ServiceBuilder, ServiceExt};

/// Answers each request with the status in its path, and counts.
async fn server() -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let served = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
                count.fetch_add(1, Ordering::Relaxed);
                let path = request.uri().path().trim_start_matches('/').to_owned();
                async move {
                    let Ok(status) = path.parse::<StatusCode>() else { return std::future::pending().await };
                    let response = Response::builder().status(status).header("retry-after", "40");
                    response.body(Empty::<Bytes>::new())
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    (address, served)
}

fn classify(end: &Result<Response<Incoming>, Error>) -> Classified {
    let Ok(response) = end else { return Outcome::Failure.into() };
    let field = |name| response.headers().get(name).map(|value| value.as_bytes());
    let answer = Answer {
        status: response.status().as_u16(),
        retry_after: field("retry-after"),
        retry_after_ms: field("retry-after-ms"),
        date: field("date"),
    };
    answer.classified(SystemTime::now(), MAX_RETRY_AFTER)
}

#[tokio::test]
async fn hosts_fail_apart_and_come_back() {
    let clock = ManualClock::new(0);
    let (ill, asked_ill) = server().await;
    let (well, asked_well) = server().await;
    let config = BreakerConfig { consecutive_failures: Some(3), ..BreakerConfig::default() };
    let defaults = RegistryConfig { defaults: config.clone(), ..RegistryConfig::default() };
    let breakers = BreakerRegistry::with_clock(defaults, Clock::from(&clock)).expect("a registry");
    let breakers = Arc::new(breakers);
    let known = Arc::clone(&breakers);
    let by_host = ForRequest(move |request: &Request<Empty<Bytes>>| {
        Some(known.get(request.uri().authority()?.as_str().as_bytes()))
    });
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let client = ServiceBuilder::new().layer(PolicyLayer::new(by_host, classify)).service(client);
    let get = |address: SocketAddr, path: &str| {
        let request = Request::get(format!("http://{address}/{path}")).body(Empty::new()).expect("a request");
        let call = client.clone().oneshot(request);
        async move { call.await.map(|response| response.status().as_u16()) }
    };
    let state = |address: SocketAddr| breakers.peek(address.to_string().as_bytes()).expect("known").state();

    for _ in 0..3 {
        assert_eq!(get(ill, "503").await.ok(), Some(503));
        assert_eq!(get(well, "404").await.ok(), Some(404));
    }
    let Err(CallError::Rejected(rejected)) = get(ill, "200").await else { panic!("it is open") };
    assert_eq!(rejected.retry_after(), Some(Duration::from_secs(40)), "as the server asked");
    assert_eq!(get(well, "200").await.ok(), Some(200));
    assert_eq!(asked_ill.load(Ordering::Relaxed), 3, "a refusal sends nothing");
    assert_eq!(asked_well.load(Ordering::Relaxed), 4);

    // A probe that its caller gives up says nothing; the next one closes the circuit.
    clock.advance(Duration::from_secs(41));
    let hanging = tokio::spawn(get(ill, "hang"));
    while asked_ill.load(Ordering::Relaxed) == 3 {
        tokio::task::yield_now().await;
    }
    for _ in 1..config.probes {
        // Not to be judged yet: only the hanging one is missing.
        assert_eq!(get(ill, "200").await.ok(), Some(200));
    }
    assert!(matches!(get(ill, "200").await, Err(CallError::Rejected(_))), "all probes are taken");
    hanging.abort();
    assert!(hanging.await.is_err());
    assert_eq!(state(ill), State::HalfOpen);
    assert_eq!(get(ill, "200").await.ok(), Some(200));
    assert_eq!(state(ill), State::Closed);
}

#[tokio::test]
async fn a_server_that_is_gone_opens_it() {
    // A port that is taken, so that nobody else listens there.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = socket.local_addr().expect("its address");
    let config = BreakerConfig { consecutive_failures: Some(2), ..BreakerConfig::default() };
    let breaker = Arc::new(CircuitBreaker::new("gone", config).expect("a breaker"));
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut client = ServiceBuilder::new().layer(PolicyLayer::new(breaker, classify)).service(client);
    let mut get = || {
        let request = Request::get(format!("http://{address}/200")).body(Empty::new()).expect("a request");
        client.call(request)
    };
    for _ in 0..2 {
        assert!(matches!(get().await, Err(CallError::Failed(_))));
    }
    assert!(matches!(get().await, Err(CallError::Rejected(_))));
}
