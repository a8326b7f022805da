//! Random histories: hosts that spend when it hurts most, up to the last instant of a lease; requests that are lost,
//! run late or out of turn; answers that are lost; a store that stands still, forgets everything, goes back to an old
//! state, or whose clock leaps; hosts that die and are born; refillers that are killed between any two steps, and their
//! successors. All times are arguments.

use crate::dying::{Deaths, until_death};
use crate::store::{Data, Store};
use fastrand::Rng;
use std::time::Duration;
use tidegate::lease::{ClusterConfig, Lease, LeaseTerms, OnUnreachable};
use tidegate::{ManualClock, Quota};
use tidegate_cluster::member::{Answer, Member, Request};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const START: u64 = 1_000_000 * S;
const LEASE: u64 = 500 * MS;
const TIMEOUT: u64 = 100 * MS;
const FALLBACK: u64 = 3 * S;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Hosts deny without the store.
    Plain,
    /// Hosts go on with their share.
    Local,
    /// The store's clock leaps.
    Clock,
}

/// A safeguard of the host that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The deadline counts from the answer.
    DeadlineFromAnswer,
    /// What is held is told before it is lowered.
    NothingLowered,
    /// Answers that came after the timeout are taken.
    AnswersAfterTimeout,
    /// A successor knows nothing of what was granted and spent before it.
    ForgetsTheAccount,
    /// A grant is spent before it is kept.
    KeepsAfterwards,
}

struct Host {
    number: usize,
    member: Member,
    lease: Lease,
    /// Host time = START + skew + elapsed × pace.
    skew: i64,
    ppm: i64,
    out: Option<u64>,
    cut_until: u64,
    last_tokens: u32,
}

struct Message {
    number: u64,
    host: usize,
    request: Request,
    sent: u64,
    answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) worst: f64,
    pub(crate) burst: f64,
    pub(crate) rate: f64,
    pub(crate) leaps: u32,
    pub(crate) admitted: u64,
    pub(crate) secs: f64,
}

impl Verdict {
    /// What a history may reach: the burst, and for each leap of the store's clock what accrues in two leases and two
    /// timeouts.
    pub(crate) fn bound(&self) -> f64 {
        let secs = 2.0 * (LEASE + TIMEOUT) as f64 / S as f64;
        self.burst + f64::from(self.leaps) * (self.rate * secs + 1.0) + 1e-6
    }

    pub(crate) fn is_over(&self) -> bool {
        self.worst > self.bound()
    }
}

/// A question to the script and what it answered, for another store to repeat.
pub(crate) struct Asked {
    pub(crate) data: Data,
    pub(crate) args: Vec<String>,
    pub(crate) answer: Answer,
    pub(crate) after: Data,
}

pub(crate) struct World<'a> {
    store: &'a Store,
    random: Rng,
    deaths: Deaths,
    mode: Mode,
    fault: Fault,
    terms: LeaseTerms,
    now: u64,
    offset_us: i64,
    hosts: Vec<Host>,
    flight: Vec<Message>,
    spent: Vec<(u64, u32)>,
    sent: u64,
    born: usize,
    snapshot: Option<Data>,
    frozen_until: u64,
    leaps: u32,
    /// Filled where it is wanted.
    pub(crate) asked: Option<Vec<Asked>>,
}

fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

impl<'a> World<'a> {
    pub(crate) fn new(store: &'a Store, seed: u64, mode: Mode, fault: Fault) -> (Self, Verdict) {
        let mut random = Rng::with_seed(seed);
        let (rate, burst) = (pick(&mut random, &[10, 100, 1_000, 3_000]), pick(&mut random, &[20, 100, 1_000, 1_000]));
        let hosts = pick(&mut random, &[2, 3, 5]);
        let quota =
            Quota::new(rate, Duration::from_secs(1)).and_then(|quota| quota.with_burst(burst)).expect("a quota");
        let mut config = ClusterConfig::new(quota);
        config.sync = Some(Duration::from_millis(100));
        config.lease = Some(Duration::from_nanos(LEASE));
        config.timeout = Duration::from_nanos(TIMEOUT);
        if mode == Mode::Local {
            let fallback_for = Duration::from_nanos(FALLBACK);
            config.on_unreachable = OnUnreachable::Local { hosts: hosts as u32, fallback_for };
        }
        let terms = config.check().expect("settings");
        *store.data.borrow_mut() = Data::default();
        let verdict = Verdict { worst: 0.0, burst: burst as f64, rate: rate as f64, leaps: 0, admitted: 0, secs: 0.0 };
        let mut world = Self {
            store,
            random,
            deaths: Deaths::of(seed),
            mode,
            fault,
            terms,
            now: START,
            offset_us: 0,
            hosts: Vec::new(),
            flight: Vec::new(),
            spent: Vec::new(),
            sent: 0,
            born: 0,
            snapshot: None,
            frozen_until: 0,
            leaps: 0,
            asked: None,
        };
        if world.chance(0.7) {
            // `init`: full.
            let epoch =
                [("run", crate::store::run_id(0)), ("birth", "0".into()), ("off", "0".into()), ("n", "0".into())];
            let hash = epoch.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            store.data.borrow_mut().hashes.insert("epoch".into(), hash);
        }
        for _ in 0..hosts {
            let host = world.host();
            world.hosts.push(host);
        }
        (world, verdict)
    }

    fn chance(&mut self, odds: f64) -> bool {
        self.random.f64() < odds
    }

    fn host(&mut self) -> Host {
        self.born += 1;
        let lease = Lease::with_clock(ManualClock::new(0).into());
        Host {
            number: self.born,
            member: Member::new(format!("x{}", self.born), self.terms, &lease),
            lease,
            skew: pick(&mut self.random, &[0, 60, -60]) * S as i64,
            ppm: pick(&mut self.random, &[0, 300, -300]),
            out: None,
            cut_until: 0,
            last_tokens: 0,
        }
    }

    /// What `host`'s clock says.
    fn time(&self, host: usize) -> u64 {
        let (host, passed) = (&self.hosts[host], (self.now - START) as i64);
        START.saturating_add_signed(host.skew + passed + passed / 1_000_000 * host.ppm)
    }

    fn spend(&mut self, host: usize, most: u32) {
        let now = self.time(host);
        let tokens = self.hosts[host].lease.tokens_at(now).min(most);
        if tokens > 0 {
            assert!(self.hosts[host].lease.try_acquire_at(now, tokens));
            self.spent.push((self.now, tokens));
        }
    }

    fn send(&mut self, at: usize) {
        let now = self.time(at);
        let demand = pick(&mut self.random, &[0, 50, 500, 5_000, 5_000]);
        let target = pick(&mut self.random, &[1, 50, 500, 500]);
        let bye = (self.mode != Mode::Local && self.random.f64() < 0.01) || self.deaths.strikes(0.01);
        let host = &mut self.hosts[at];
        let before = host.lease.tokens_at(now);
        let dying = self.deaths.of_one(&host.lease, self.fault);
        let Some(request) = until_death(|| host.member.request(now, &dying, target, demand, bye)) else {
            return self.succeed(at);
        };
        let host = &mut self.hosts[at];
        if self.fault == Fault::NothingLowered && host.lease.tokens_at(now) < before {
            host.last_tokens = before - host.lease.tokens_at(now);
            let deadline = host.lease.stats().deadline_ns;
            host.lease.grant_at(now, deadline, host.last_tokens, true);
        }
        self.sent += 1;
        host.out = Some(self.sent);
        self.flight.push(Message { number: self.sent, host: host.number, request, sent: self.now, answer: None });
    }

    /// The refiller of a host was killed, and another goes on with what it has kept.
    fn succeed(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        host.out = None;
        if self.fault == Fault::ForgetsTheAccount {
            host.lease.keep(Default::default());
        }
        host.member = Member::new(format!("x{}", host.number), self.terms, &host.lease);
    }

    fn lose(&mut self, at: usize) {
        self.hosts[at].out = None;
        self.hosts[at].member.lost();
    }

    fn run(&mut self, message: usize) {
        let now_us = ((self.now / 1_000) as i64 + self.offset_us) as u64;
        self.store.data.borrow_mut().now_us = now_us;
        let data = self.asked.as_ref().map(|_| self.store.data.borrow().clone());
        let answer = self.store.sync(&self.flight[message].request.args);
        if let (Some(asked), Some(data)) = (&mut self.asked, data) {
            asked.push(Asked {
                data,
                args: self.flight[message].request.args.clone(),
                answer: answer.clone(),
                after: self.store.data.borrow().clone(),
            });
        }
        self.flight[message].answer = Some(answer);
    }

    /// Requests reach the store, in any order, and answers the hosts.
    fn network(&mut self, odds: f64, lost: f64) {
        self.random.shuffle(&mut self.flight);
        let mut at = 0;
        while at < self.flight.len() {
            if self.now < self.frozen_until {
                return;
            }
            if self.flight[at].answer.is_none() {
                if !self.chance(odds) {
                    at += 1;
                    continue;
                }
                self.run(at);
                // The answer takes as long as it likes.
                if self.chance(0.2) {
                    at += 1;
                    continue;
                }
            }
            let message = self.flight.swap_remove(at);
            let Some(host) = self.hosts.iter().position(|host| host.number == message.host) else { continue };
            let late = self.fault == Fault::AnswersAfterTimeout;
            if self.hosts[host].out != Some(message.number) && !late {
                continue;
            }
            if self.chance(lost) {
                self.lose(host);
                continue;
            }
            if self.hosts[host].out == Some(message.number) {
                self.hosts[host].out = None;
            }
            let now = self.time(host);
            let mut request = message.request;
            if self.fault == Fault::DeadlineFromAnswer {
                request.sent_ns = now + 300 * MS;
            }
            let answer = message.answer.expect("it ran");
            let at = host;
            let host = &mut self.hosts[at];
            let dying = self.deaths.of_one(&host.lease, self.fault);
            if until_death(|| host.member.answered(now, &dying, &request, &answer)).is_none() {
                self.succeed(at);
            }
        }
    }

    fn tick(&mut self, syncs: f64, odds: f64, lost: f64) {
        for at in 0..self.hosts.len() {
            if let Some(number) = self.hosts[at].out {
                let sent = self.flight.iter().find(|message| message.number == number).map(|message| message.sent);
                // Timed out, or the connection broke at once; either way the request may still run.
                if sent.is_none_or(|sent| self.now - sent > TIMEOUT) || self.chance(0.03) {
                    self.lose(at);
                }
            }
            if self.deaths.strikes(0.01) {
                self.succeed(at);
            }
            let now = self.time(at);
            let host = &mut self.hosts[at];
            if host.out.is_none() {
                let dying = self.deaths.of_one(&host.lease, self.fault);
                if until_death(|| host.member.unreachable(now, &dying)).is_none() {
                    self.succeed(at);
                }
            }
            let host = &self.hosts[at];
            if host.cut_until <= self.now && host.out.is_none() && self.chance(syncs) {
                self.send(at);
            }
        }
        self.network(odds, lost);
    }

    /// The store dies and comes back with `data`; what was on the way to it is gone.
    fn restart(&mut self, data: Option<Data>) {
        let mut store = self.store.data.borrow_mut();
        let run = store.run + 1;
        *store = Data { run, ..data.unwrap_or_default() };
        drop(store);
        self.flight.clear();
        (0..self.hosts.len()).for_each(|at| self.lose(at));
    }

    /// The store forgets again and again, while those who hold something sit on it.
    fn forget(&mut self) {
        for _ in 0..self.random.usize(1..4) {
            let stop = self.now + pick(&mut self.random, &[20, 60, 120]) * MS;
            while self.now < stop {
                self.now += pick(&mut self.random, &[1, 5, 20]) * MS;
                self.tick(0.9, 0.95, 0.02);
            }
            // The richest of those who still talk to the store sits on what it has.
            let talking = (0..self.hosts.len()).filter(|&at| self.hosts[at].cut_until <= self.now);
            if let Some(at) = talking.max_by_key(|&at| self.hosts[at].lease.tokens_at(self.time(at))) {
                self.hosts[at].cut_until = self.now + 2 * S;
            }
            self.restart(None);
        }
        let stop = self.now + pick(&mut self.random, &[20, 60, 120]) * MS;
        while self.now < stop {
            self.now += pick(&mut self.random, &[1, 5, 20]) * MS;
            self.tick(0.9, 0.95, 0.02);
        }
    }

    /// The store stands still with requests on their way, until hosts have gone on alone, and then runs them.
    fn thaw(&mut self) {
        for at in 0..self.hosts.len() {
            self.spend(at, u32::MAX);
            if self.hosts[at].out.is_none() {
                self.send(at);
            }
        }
        self.frozen_until = self.now + pick(&mut self.random, &[800, 1_200, 2_500]) * MS;
        while self.now < self.frozen_until {
            self.now += 30 * MS;
            self.tick(0.0, 0.0, 0.0);
        }
        let back = self.random.usize(..self.hosts.len());
        for at in (0..self.hosts.len()).filter(|&at| at != back) {
            self.hosts[at].cut_until = self.now + S;
        }
        let stop = self.now + 450 * MS;
        while self.now < stop {
            self.tick(1.0, 1.0, 0.0);
            (0..self.hosts.len()).for_each(|at| self.spend(at, u32::MAX));
            self.now += pick(&mut self.random, &[1, 15]) * MS;
        }
    }

    fn fault(&mut self) {
        let x = self.random.f64();
        if x < 0.25 {
            self.restart(None);
        } else if x < 0.5 {
            let snapshot = self.snapshot.clone();
            if snapshot.is_some() {
                self.restart(snapshot);
            }
        } else if x < 0.7 {
            self.frozen_until = self.now + pick(&mut self.random, &[50, 400, 2_000, 2_000]) * MS;
        } else if x < 0.8 && self.mode != Mode::Local {
            let at = self.random.usize(..self.hosts.len());
            self.hosts[at] = self.host();
        } else if self.mode == Mode::Clock {
            self.offset_us += pick(&mut self.random, &[-60, -1, 1, 60, 3_600]) * 1_000_000;
            self.leaps += 1;
        }
        if self.chance(0.3) {
            self.restart(None);
        }
    }

    /// Hosts hold what they have, sync, are cut off and come back.
    fn calm(&mut self) {
        let stop = self.now + pick(&mut self.random, &[100, 400, 1_000, 3_000]) * MS;
        let spends = pick(&mut self.random, &[0.0, 0.02, 0.3]);
        while self.now < stop {
            self.now += pick(&mut self.random, &[1, 10, 30, 60]) * MS;
            self.tick(0.6, 0.7, 0.2);
            for at in 0..self.hosts.len() {
                if self.chance(spends) {
                    let most = pick(&mut self.random, &[1, 10, 100]);
                    self.spend(at, most);
                }
            }
            if self.chance(0.05) {
                let at = self.random.usize(..self.hosts.len());
                self.hosts[at].cut_until = self.now + pick(&mut self.random, &[300, 1_500, 5_000]) * MS;
            }
            if self.chance(0.1) {
                self.snapshot = Some(self.store.data.borrow().clone());
            }
        }
    }

    /// Some go on, others sit on what they hold.
    fn sit(&mut self) {
        for at in 0..self.hosts.len() {
            if self.chance(0.5) {
                self.hosts[at].cut_until = self.now + 2 * S;
            }
        }
        let stop = self.now + pick(&mut self.random, &[50, 200, 450]) * MS;
        while self.now < stop {
            self.now += pick(&mut self.random, &[1, 30]) * MS;
            self.tick(0.8, 0.9, 0.05);
        }
    }

    /// All spend all, get what there is, and spend that.
    fn rush(&mut self) {
        if self.chance(0.6) {
            // Just before a lease ends.
            let live: Vec<usize> =
                (0..self.hosts.len()).filter(|&at| self.hosts[at].lease.tokens_at(self.time(at)) > 0).collect();
            if !live.is_empty() {
                let at = pick(&mut self.random, &live);
                let left = self.hosts[at].lease.stats().deadline_ns - self.time(at);
                self.now += (left - left / 3_000).saturating_sub(pick(&mut self.random, &[1_000, MS]));
            }
        }
        let stop = self.now + pick(&mut self.random, &[0, 3, 200, 700]) * MS;
        loop {
            for _ in 0..4 {
                for at in 0..self.hosts.len() {
                    self.spend(at, u32::MAX);
                }
                self.tick(1.0, 0.9, 0.05);
                self.now += pick(&mut self.random, &[0, 1_000, 100_000]);
            }
            for at in 0..self.hosts.len() {
                if self.chance(0.9) {
                    self.spend(at, u32::MAX);
                }
            }
            if self.now >= stop {
                return;
            }
            self.now += pick(&mut self.random, &[1, 20, 60]) * MS;
        }
    }

    pub(crate) fn play(&mut self, mut verdict: Verdict) -> Verdict {
        let faults = pick(&mut self.random, &[0.0, 0.3, 1.0]);
        let end = self.now + pick(&mut self.random, &[4, 8, 15]) * S;
        while self.now < end {
            self.calm();
            if faults > 0.0 && self.chance(0.15) {
                self.forget();
                self.rush();
                continue;
            }
            if faults > 0.0 && self.mode == Mode::Local && self.chance(0.15) {
                self.thaw();
                continue;
            }
            if self.chance(faults) {
                self.fault();
                self.now += pick(&mut self.random, &[0, 1, 100, 400]) * MS;
            }
            if self.chance(0.5) {
                self.sit();
            }
            self.rush();
        }
        // The leaky meter: every window holds at most burst + rate × window if and only if it never stands above burst.
        let (mut level, mut last) = (0.0_f64, START);
        for &(at, tokens) in &self.spent {
            level = (level - verdict.rate * (at - last) as f64 / S as f64).max(0.0) + f64::from(tokens);
            last = at;
            verdict.worst = verdict.worst.max(level);
            verdict.admitted += u64::from(tokens);
        }
        verdict.leaps = self.leaps;
        verdict.secs = (self.now - START) as f64 / S as f64;
        verdict
    }
}

/// The history of `seed`.
pub(crate) fn history(store: &Store, seed: u64, mode: Mode, fault: Fault) -> Verdict {
    let (mut world, verdict) = World::new(store, seed, mode, fault);
    world.play(verdict)
}

/// The first questions of a history.
pub(crate) fn questions(store: &Store, seed: u64, mode: Mode) -> Vec<Asked> {
    let (mut world, verdict) = World::new(store, seed, mode, Fault::None);
    world.asked = Some(Vec::new());
    world.play(verdict);
    world.asked.unwrap_or_default()
}
