//! One host as the store knows it: what it asks, and what it does with the answers. Pure: time, the answers and the
//! lease are arguments.
//!
//! Each step that two words take part in errs towards "spent": what was granted is counted before it can be spent, what
//! is dropped after it cannot be spent any more.

use crate::settings::Settings;
use tidegate::lease::Lease;

const US: u64 = 1_000;

/// 1000 ppm: clocks of machines differ by far less in pace.
fn shortened(ns: u64) -> u64 {
    ns - ns / 1_000
}

fn lengthened(ns: u64) -> u64 {
    ns + ns / 1_000 + 1
}

/// A question to the store, as the arguments of the script behind its keys.
#[derive(Clone, Debug)]
pub struct Request {
    /// In the script's order.
    pub args: Vec<String>,
    /// Host time at which it was made; it is sent later.
    pub sent_ns: u64,
    want: u32,
    hello: bool,
}

/// What the script answered, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `ok`, `hello`, `late`, `old` or `settings`.
    pub status: String,
    /// Tokens granted.
    pub granted: u64,
    /// The store's time in microseconds.
    pub store_us: u64,
    /// The store's epoch.
    pub epoch: String,
    /// What the host held when it asked stays good.
    pub keep: bool,
    /// The store reserves this host its share.
    pub entitled: bool,
    /// What the store had left.
    pub level: u64,
}

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The lease runs on; `scarce`: less than what was wanted.
    Granted {
        /// Tokens.
        tokens: u32,
        /// Less than what was wanted.
        scarce: bool,
    },
    /// The store's epoch was learnt, or has changed: ask again at once.
    Hello,
    /// The request ran too late, or the store's clock leapt: nothing changed.
    Late,
    /// A later request was there before.
    Old,
    /// Other hosts use another lease, `max_outstanding`, hosts or fallback.
    OtherSettings,
    /// No answer of this script.
    Nonsense,
}

/// A reading of the store's clock: what it said, when the host asked, and how long that took.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    store_us: u64,
    sent_ns: u64,
    took_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Local {
    filled_ns: u64,
    /// What the lease held then.
    held: u32,
    until_ns: u64,
}

/// The host's side of the account.
#[derive(Debug)]
pub struct Member {
    id: String,
    settings: Settings,
    seq: u64,
    added: u64,
    dropped: u64,
    /// Empty: none.
    epoch: String,
    /// Whether the store has told its epoch on this connection.
    known: bool,
    reading: Reading,
    rebase: bool,
    entitled: bool,
    /// Host time at which the latest `ok` was asked for.
    ok_sent_ns: Option<u64>,
    /// Host time from which on no request that may still run has a lease that lasts.
    over_ns: u64,
    local: Option<Local>,
}

impl Member {
    /// `id`: of this host alone, and of this life of it.
    pub fn new(id: String, settings: Settings) -> Self {
        Self {
            id,
            settings,
            seq: 0,
            added: 0,
            dropped: 0,
            epoch: String::new(),
            known: false,
            reading: Reading::default(),
            rebase: false,
            entitled: false,
            ok_sent_ns: None,
            over_ns: 0,
            local: None,
        }
    }

    /// The connection is gone, or the store did not answer in time: its answer counts no more, though the request may
    /// still run.
    pub fn lost(&mut self) {
        self.known = false;
    }

    /// Whether the next request only asks for the epoch.
    pub fn is_stranger(&self) -> bool {
        !self.known
    }

    /// Whether it runs on its local share.
    pub fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// The next request: a hello from a stranger, else a sync with what `lease` holds. `target`: what it should hold;
    /// `demand`: calls a second; `bye`: it holds nothing any more and leaves.
    pub fn request(&mut self, now: u64, lease: &Lease, target: u32, demand: u64, bye: bool) -> Request {
        let hello = !self.known;
        let (mut held, mut want) = (0, 0);
        let (mut most_us, mut seen) = (0, (0, "-"));
        if !hello {
            // The local share ends before the store hears that this host is back.
            if self.local.take().is_some() || bye {
                self.dropped += u64::from(lease.close().dropped);
            } else {
                // Surplus goes back; between the target and half as much again nothing moves.
                let keep = if lease.tokens_at(now) > target + target / 2 + 1 { target } else { u32::MAX };
                let change = lease.lower_at(now, keep);
                (held, self.dropped) = (change.held, self.dropped + u64::from(change.dropped));
            }
            want = if bye { 0 } else { target.min(self.settings.most).saturating_sub(held) };
            self.seq += 1;
            let since_us = now.saturating_sub(self.reading.sent_ns) / US;
            most_us = since_us + since_us / 1_000 + self.settings.timeout_us;
            seen = (self.reading.store_us, self.epoch.as_str());
            let runs_by = self.reading.sent_ns + self.reading.took_ns + lengthened(most_us * US);
            self.over_ns = self.over_ns.max(runs_by + lengthened(self.settings.lease_us * US));
            // Such a request may run at any time.
            self.entitled &= !self.rebase;
        }
        let Settings { count, period_us, burst, lease_us, most, hosts, fallback_us, share, .. } = self.settings;
        // Saturating: foreign bytes in the lease must not panic.
        let spent = self.added.saturating_sub(self.dropped).saturating_sub(held.into());
        let flags = [u64::from(self.rebase && !hello), hosts.into(), fallback_us, share.into(), bye.into()];
        let own = [self.seq, held.into(), spent, want.into(), demand];
        let limit = [count, period_us, burst.into(), lease_us, most.into()];
        let mut args = vec![self.id.clone()];
        args.extend(own.iter().chain(&limit).map(u64::to_string));
        args.extend([seen.1.to_owned(), seen.0.to_string(), most_us.to_string()]);
        args.extend(flags.iter().map(u64::to_string));
        Request { args, sent_ns: now, want, hello }
    }

    /// Takes an answer that came in time.
    pub fn answered(&mut self, now: u64, lease: &Lease, request: &Request, answer: &Answer) -> Outcome {
        let took_ns = now.saturating_sub(request.sent_ns);
        let reading = Reading { store_us: answer.store_us, sent_ns: request.sent_ns, took_ns };
        match answer.status.as_str() {
            "hello" => {
                self.known = request.hello;
                // Of the same epoch the old reading stays: it is what tells a leap of the store's clock.
                if request.hello && self.epoch != answer.epoch {
                    self.epoch.clone_from(&answer.epoch);
                    (self.reading, self.rebase) = (reading, false);
                }
                Outcome::Hello
            }
            "late" => {
                // In time: it was the store's clock that leapt, and no request that stood about.
                self.rebase = took_ns <= self.settings.timeout_us * US;
                Outcome::Late
            }
            "ok" if !request.hello && answer.granted <= request.want.into() => {
                (self.reading, self.rebase, self.entitled) = (reading, false, answer.entitled);
                self.ok_sent_ns = Some(request.sent_ns);
                let tokens = answer.granted as u32;
                self.added += u64::from(tokens);
                let deadline = request.sent_ns + shortened(self.settings.lease_us * US);
                self.dropped += u64::from(lease.grant_at(now, deadline, tokens, answer.keep).dropped);
                Outcome::Granted { tokens, scarce: tokens < request.want }
            }
            "old" => Outcome::Old,
            "settings" => Outcome::OtherSettings,
            _ => Outcome::Nonsense,
        }
    }

    /// While the store does not answer, and no request is under way: when the lease is over, and that of every request
    /// that may still have run, fills the lease from the local share. It begins empty.
    pub fn unreachable(&mut self, now: u64, lease: &Lease) {
        let Settings { count, period_us, lease_us, hosts, fallback_us, share, .. } = self.settings;
        let Some(ok_sent_ns) = self.ok_sent_ns.filter(|_| fallback_us > 0 && self.entitled) else { return };
        let until_ns = ok_sent_ns + shortened((lease_us + fallback_us) * US);
        if now < self.over_ns || now >= until_ns {
            return;
        }
        let local = self.local.get_or_insert(Local { filled_ns: now, held: 0, until_ns });
        let interval = (u128::from(period_us) * u128::from(US) * u128::from(hosts)).div_ceil(count.into()) as u64;
        let due = now.saturating_sub(local.filled_ns) / interval;
        // Never above what was free while the time passed: when the others were spent is not known.
        let room = u64::from(share.saturating_sub(local.held));
        // Full, it keeps no part of a token beside.
        local.filled_ns = if due >= room { now } else { local.filled_ns + due * interval };
        let tokens = due.min(room) as u32;
        local.held = lease.tokens_at(now) + tokens;
        if tokens > 0 {
            self.added += u64::from(tokens);
            let until_ns = local.until_ns;
            self.dropped += u64::from(lease.grant_at(now, until_ns, tokens, true).dropped);
        }
    }
}
