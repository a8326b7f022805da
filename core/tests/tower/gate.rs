//! A gate before a service.

use crate::probe::{Behaviour, Probe};
use crate::{End, now};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request as HttpRequest, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tidegate::breaker::{CallError, State};
use tidegate::concurrency::ConcurrencyConfig;
use tidegate::gate::{Outcome, Outcomes, Request};
use tidegate::http::AccessList;
use tidegate::http::problem::CONTENT_TYPE;
use tidegate::limit::{LimitSet, LimiterConfig, Member, Mode};
use tidegate::shed::{Priority, Signal, SignalKind};
use tidegate::tower::{Asking, GateCall, GateLayer, GatePolicy, GateRefusal};
use tidegate::{
    Algorithm, BoundedQueue, BreakerConfig, CircuitBreaker, Clock, ConcurrencyLimiter, Gate, GateConfig, LoadShedder,
    ManualClock, QueueConfig, RateLimiter, ShedderConfig,
};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt, service_fn};

/// A gate with all parts: one call at a time, two a minute for each key.
struct All {
    gate: Arc<Gate>,
    client: Arc<RateLimiter>,
    database: Arc<ConcurrencyLimiter>,
    payment: Arc<CircuitBreaker>,
    queue: Arc<BoundedQueue<()>>,
    shedder: Arc<LoadShedder>,
}

fn limiter(algorithm: Algorithm, clock: &ManualClock) -> Arc<RateLimiter> {
    let quota = "2/min".parse().expect("a quota");
    Arc::new(RateLimiter::with_config(LimiterConfig::new(algorithm, quota), Clock::from(clock)).expect("a limiter"))
}

fn all(clock: &ManualClock) -> All {
    let time = || Clock::from(clock);
    let client = limiter(Algorithm::TokenBucket, clock);
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(1) };
    let database = Arc::new(ConcurrencyLimiter::with_config(config, time()).expect("a limit"));
    let payment = Arc::new(CircuitBreaker::with_clock("payment", BreakerConfig::default(), time()).expect("a breaker"));
    let queue = Arc::new(BoundedQueue::with_clock(QueueConfig::new(1), time()).expect("a queue"));
    let signal = Signal::new(SignalKind::Gauge).named("load").range(0.0, 1.0);
    let shedder = Arc::new(LoadShedder::with_clock(ShedderConfig::new(vec![signal]), time()).expect("a shedder"));
    let gate = Gate::new(GateConfig {
        access: Some(AccessList::new([], ["192.0.2.0/24"]).expect("a list")),
        shedder: Some(("main".into(), shedder.clone())),
        queue: Some(("jobs".into(), queue.clone())),
        concurrency: Some(("database".into(), database.clone())),
        limits: Some(Arc::new(LimitSet::new([("client", Member::from(client.clone()))]).expect("a set"))),
        dependencies: vec![("payment".into(), payment.clone())],
        refund_on: Outcomes::NONE.with(Outcome::Cancelled),
        mode: Mode::Enforce,
        ..GateConfig::new("orders")
    });
    All { gate: Arc::new(gate.expect("a gate")), client, database, payment, queue, shedder }
}

fn classify(end: &End) -> Outcome {
    end.as_ref().map_or(Outcome::Failure, |status| Outcome::of_status(*status))
}

fn ask(asking: Asking<'_>, _: &u16) -> Result<GateCall, GateRefusal> {
    asking.admit(&Request::new(&[b"ann"]))
}

fn left(all: &All) -> u32 {
    all.client.peek(b"ann", None).remaining
}

#[test]
fn call_sheds_and_readiness_holds_nothing() {
    let clock = ManualClock::new(0);
    let all = all(&clock);
    let probe = Probe::new(Behaviour::NeverEnds);
    let service = GateLayer::new(GatePolicy::new(all.gate.clone(), ask).unwrap(), classify).layer(probe.clone());
    let mut idle: Vec<_> = (0..3).map(|_| service.clone()).collect();
    for one in &mut idle {
        assert!(matches!(now(poll_fn(|context| one.poll_ready(context))), Some(Ok(()))));
    }
    assert_eq!((all.database.in_use(), left(&all), probe.asked()), (0, 2, [0, 0]));
    let mut first = Box::pin(idle[0].call(200));
    assert!(now(first.as_mut()).is_none());
    assert_eq!((all.database.in_use(), left(&all)), (1, 1));
    let refused = now(idle[1].call(200)).expect("at once").expect_err("one at a time");
    let CallError::Rejected(CallError::Rejected(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!((refused.denied_by(), refused.status()), ("database", 503));
    assert_eq!((left(&all), probe.asked()[1]), (1, 1), "a refusal takes nothing and calls nothing");
    drop(first);
    assert_eq!((all.database.in_use(), left(&all)), (0, 2), "cancelled: the permit and, as refund_on says, the cost");
}

#[test]
fn the_end_says_what_becomes_of_permit_and_cost() {
    for (behaviour, charged) in [(Behaviour::Answers, 1), (Behaviour::NotReady, 1), (Behaviour::Panics, 1)] {
        let clock = ManualClock::new(0);
        let all = all(&clock);
        let policy = GatePolicy::new(all.gate.clone(), ask).unwrap();
        let service = GateLayer::new(policy, classify).layer(Probe::new(behaviour));
        let end = catch_unwind(AssertUnwindSafe(|| now(service.oneshot(200))));
        assert_eq!(end.is_err(), matches!(behaviour, Behaviour::Panics));
        assert_eq!((all.database.in_use(), 2 - left(&all)), (0, charged), "{behaviour:?}");
    }
}

#[test]
fn a_function_that_panics_or_drops_what_it_got_holds_nothing() {
    let clock = ManualClock::new(0);
    let all = all(&clock);
    let service = |fails: fn(GateCall) -> Result<GateCall, GateRefusal>| {
        let ask = move |asking: Asking<'_>, _: &u16| fails(asking.admit(&Request::new(&[b"ann"]))?);
        GateLayer::new(GatePolicy::new(all.gate.clone(), ask).unwrap(), classify).layer(Probe::new(Behaviour::Answers))
    };
    assert!(catch_unwind(AssertUnwindSafe(|| now(service(|_| panic!("a key function")).oneshot(200)))).is_err());
    assert_eq!((all.database.in_use(), left(&all)), (0, 1), "a failure is charged");
    let another: fn(GateCall) -> Result<GateCall, GateRefusal> = |call| {
        drop(call);
        Err(CallError::Failed(tidegate::ConfigError::out_of_range("mine", "another answer")))
    };
    assert!(matches!(now(service(another).oneshot(200)), Some(Err(CallError::Rejected(CallError::Failed(_))))));
    assert_eq!((all.database.in_use(), left(&all)), (0, 1));
}

#[test]
fn wrong_arguments_are_no_refusal_and_exempt_calls_are_not_asked() {
    let clock = ManualClock::new(0);
    let all = all(&clock);
    let ask = |asking: Asking<'_>, status: &u16| match status {
        204 => asking.exempt(),
        _ => asking.admit(&Request::new(&[])),
    };
    let policy = GatePolicy::new(all.gate.clone(), ask).unwrap();
    let service = GateLayer::new(policy, classify).layer(Probe::new(Behaviour::Answers));
    let Some(Err(CallError::Rejected(CallError::Failed(error)))) = now(service.clone().oneshot(200)) else {
        panic!("no key for client")
    };
    assert_eq!(error.field(), "keys");
    for _ in 0..5 {
        assert_eq!(now(service.clone().oneshot(204)), Some(Ok(204)));
    }
    assert_eq!(all.gate.stats().admitted, 0);
}

#[test]
fn a_leaky_bucket_has_nobody_who_waits() {
    let clock = ManualClock::new(0);
    let leaky = limiter(Algorithm::LeakyBucket, &clock);
    let limits = Some(Arc::new(LimitSet::new([("paced", Member::from(leaky))]).unwrap()));
    let gate = Arc::new(Gate::new(GateConfig { limits, ..GateConfig::new("orders") }).unwrap());
    let error = GatePolicy::new(gate, ask).expect_err("refused");
    assert_eq!(error.field(), "limits");
    assert!(error.message().contains("\"paced\" is a leaky bucket"), "{error}");
}

/// A server with the gate before it, which answers a request with the status in its path.
async fn server(gate: Arc<Gate>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let needs = gate.dependencies(["payment"]).expect("it has one");
    let ask = move |asking: Asking<'_>, request: &HttpRequest<Incoming>| {
        let field = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        asking.admit(&Request {
            dependencies: needs,
            address: field("x-from").and_then(|text| text.parse().ok()),
            deadline: field("x-request-timeout-ms").and_then(|text| text.parse().ok()).map(Duration::from_millis),
            ..Request::new(&[field("x-user").unwrap_or_default().as_bytes()])
        })
    };
    let classify = |end: &Result<Response<Full<Bytes>>, Infallible>| {
        end.as_ref().map_or(Outcome::Failure, |response| Outcome::of_status(response.status().as_u16()))
    };
    let layer = GateLayer::new(GatePolicy::new(gate, ask).expect("a policy"), classify);
    let gated = layer.layer(service_fn(async |request: HttpRequest<Incoming>| {
        let status = request.uri().path().trim_start_matches('/').parse::<u16>().unwrap_or(404);
        Ok(Response::builder().status(status).body(Full::default()).expect("an answer"))
    }));
    let answer = move |request| {
        let gated = gated.clone();
        async move {
            match gated.oneshot(request).await {
                Ok(response) => Ok(response),
                Err(CallError::Rejected(CallError::Rejected(refused))) => {
                    let mut response =
                        Response::builder().status(refused.status()).header("content-type", CONTENT_TYPE);
                    if let Some(seconds) = refused.retry_after_seconds() {
                        response = response.header("retry-after", seconds);
                    }
                    response.body(Full::from(refused.problem_body()))
                }
                Err(error) => Response::builder().status(500).body(Full::from(error.to_string())),
            }
        }
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(answer.clone());
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test]
async fn each_part_has_its_status_over_http() {
    let clock = ManualClock::new(0);
    let all = all(&clock);
    let address = server(all.gate.clone()).await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let get = async |user: &str, fields: &[(&str, &str)]| {
        let mut request = HttpRequest::get(format!("http://{address}/200")).header("x-user", user);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let response = client.request(request.body(Empty::new()).expect("a request")).await.expect("an answer");
        let status = response.status().as_u16();
        let again = response.headers().get("retry-after").map(|it| it.to_str().expect("digits").to_owned());
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, again, String::from_utf8(body.to_vec()).expect("text"))
    };
    let named =
        |body: &str, part: &str| assert!(body.contains(&format!(r#""violated-policies":["{part}"]"#)), "{body}");

    for _ in 0..2 {
        assert_eq!(get("ann", &[]).await.0, 200);
    }
    let (status, again, body) = get("ann", &[]).await;
    assert_eq!((status, again.as_deref()), (429, Some("30")));
    named(&body, "client");
    let (status, again, body) = get("bob", &[("x-from", "192.0.2.7")]).await;
    assert_eq!((status, again), (403, None));
    named(&body, "access");
    let (status, again, body) = get("bob", &[("x-request-timeout-ms", "0")]).await;
    assert_eq!((status, again), (504, None));
    named(&body, "deadline");

    all.payment.force_open();
    let (status, _, body) = get("bob", &[]).await;
    assert_eq!(status, 503);
    named(&body, "payment");
    all.payment.reset();
    assert_eq!(all.payment.state(), State::Closed);

    let permit = all.database.try_enter().expect("free");
    let (status, again, body) = get("bob", &[]).await;
    assert_eq!((status, again.is_some()), (503, true));
    named(&body, "database");
    drop(permit);

    all.queue.try_push(()).expect("room");
    let (status, again, body) = get("bob", &[]).await;
    assert_eq!((status, again.is_some()), (503, true));
    named(&body, "jobs");
    all.queue.try_pop().expect("it is there");

    // The threshold rises among those who come.
    for _ in 0..400 {
        all.shedder.tell("load", 1.0).expect("a gauge");
        Priority::ALL.iter().for_each(|priority| _ = all.shedder.admit(*priority, 0));
        clock.advance(all.shedder.config().interval / 8);
    }
    let (status, again, body) = get("bob", &[]).await;
    assert_eq!((status, again.is_some()), (503, true));
    named(&body, "main");

    assert_eq!((all.database.in_use(), all.client.peek(b"bob", None).remaining), (0, 2), "no refusal took anything");
    assert_eq!((all.gate.stats().admitted, all.gate.stats().denied), (2, 7));
}
