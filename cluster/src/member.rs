//! One host as the store knows it: what it asks, and what it does with the answers. Pure: time, the answers and the
//! lease are arguments.
//!
//! Each step that two words take part in errs towards "spent": what was granted is counted before it can be spent, what
//! is dropped after it cannot be spent any more. And what it must not forget is kept beside the lease before anybody
//! can learn of it, so that the successor of one that was killed goes on as the same member.

use crate::ledger::Ledger;
use tidegate::lease::{KEPT, LeaseTerms};

const US: u64 = 1_000;

/// 1000 ppm: clocks of machines differ by far less in pace.
fn shortened(ns: u64) -> u64 {
    ns - ns / 1_000
}

fn lengthened(ns: u64) -> u64 {
    ns.saturating_add(ns / 1_000 + 1)
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
    bye: bool,
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
    Hello {
        /// It is one that was not known.
        epoch: bool,
    },
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

/// What outlives the refiller.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    seq: u64,
    added: u64,
    dropped: u64,
    /// Number and birth; `None`: none is known.
    epoch: Option<(u64, u64)>,
    reading: Reading,
    rebase: bool,
    entitled: bool,
    /// Host time at which the latest `ok` was asked for.
    ok_sent_ns: Option<u64>,
    /// Host time from which on no request that may still run has a lease that lasts.
    over_ns: u64,
    local: Option<Local>,
}

/// Of `flags`.
const REBASE: u64 = 1;
const ENTITLED: u64 = 2;
const EPOCH: u64 = 4;
const OK: u64 = 8;
const LOCAL: u64 = 16;

impl Account {
    fn words(&self) -> [u64; KEPT] {
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        let flags = flag(self.rebase, REBASE)
            | flag(self.entitled, ENTITLED)
            | flag(self.epoch.is_some(), EPOCH)
            | flag(self.ok_sent_ns.is_some(), OK)
            | flag(self.local.is_some(), LOCAL);
        let (number, birth) = self.epoch.unwrap_or_default();
        let Reading { store_us, sent_ns, took_ns } = self.reading;
        let (filled_ns, held, until_ns) =
            self.local.map_or((0, 0, 0), |local| (local.filled_ns, local.held.into(), local.until_ns));
        let ok_sent_ns = self.ok_sent_ns.unwrap_or_default();
        let mut words = [0; KEPT];
        let all = [
            self.seq,
            self.added,
            self.dropped,
            flags,
            number,
            birth,
            store_us,
            sent_ns,
            took_ns,
            ok_sent_ns,
            self.over_ns,
            filled_ns,
            held,
            until_ns,
        ];
        words[..all.len()].copy_from_slice(&all);
        words
    }

    fn of(words: [u64; KEPT]) -> Self {
        let [seq, added, dropped, flags, number, birth, store_us, sent_ns, took_ns, ok_sent_ns, over_ns, rest @ ..] =
            words;
        let [filled_ns, held, until_ns, ..] = rest;
        let has = |bit: u64| flags & bit != 0;
        let local = Local { filled_ns, held: u32::try_from(held).unwrap_or(u32::MAX), until_ns };
        Self {
            seq,
            added,
            dropped,
            epoch: has(EPOCH).then_some((number, birth)),
            reading: Reading { store_us, sent_ns, took_ns },
            rebase: has(REBASE),
            entitled: has(ENTITLED),
            ok_sent_ns: has(OK).then_some(ok_sent_ns),
            over_ns,
            local: has(LOCAL).then_some(local),
        }
    }
}

/// As the script writes an epoch: `number:birth`.
fn epoch(text: &str) -> Option<(u64, u64)> {
    let (number, birth) = text.split_once(':')?;
    Some((number.parse().ok()?, birth.parse().ok()?))
}

/// The host's side of the account.
#[derive(Debug)]
pub struct Member {
    id: String,
    terms: LeaseTerms,
    /// Whether the store has told its epoch on this connection.
    known: bool,
    account: Account,
}

impl Member {
    /// Goes on with what was kept beside `lease`; nothing was, of a new one. `id`: of this host alone, and of this life
    /// of the lease.
    pub fn new(id: String, terms: LeaseTerms, lease: &impl Ledger) -> Self {
        Self { id, terms, known: false, account: Account::of(lease.kept()) }
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
        self.account.local.is_some()
    }

    /// Other terms: what is held goes back, and no share is its own until the store has said so.
    pub fn set_terms(&mut self, terms: LeaseTerms, lease: &impl Ledger) {
        let account = &mut self.account;
        account.dropped = account.dropped.saturating_add(lease.close().dropped.into());
        (account.local, account.entitled, account.ok_sent_ns) = (None, false, None);
        lease.keep(account.words());
        self.terms = terms;
    }

    /// The next request: a hello from a stranger, else a sync with what `lease` holds. `target`: what it should hold;
    /// `demand`: calls a second; `bye`: it holds nothing any more and leaves.
    pub fn request(&mut self, now: u64, lease: &impl Ledger, target: u32, demand: u64, bye: bool) -> Request {
        let hello = !self.known;
        let account = &mut self.account;
        let (mut held, mut want) = (0, 0);
        let (mut most_us, mut seen) = (0, (0, "-".to_owned()));
        if !hello {
            // The local share ends before the store hears that this host is back.
            if account.local.is_some() || bye {
                account.dropped = account.dropped.saturating_add(lease.close().dropped.into());
                account.local = None;
            } else {
                // Surplus goes back; between the target and half as much again nothing moves.
                let keep = if lease.tokens_at(now) > target + target / 2 + 1 { target } else { u32::MAX };
                let change = lease.lower_at(now, keep);
                (held, account.dropped) = (change.held, account.dropped.saturating_add(change.dropped.into()));
            }
            if bye {
                (account.entitled, account.ok_sent_ns) = (false, None);
            }
            want = if bye { 0 } else { target.min(self.terms.most).saturating_sub(held) };
            account.seq = account.seq.saturating_add(1);
            let since_us = now.saturating_sub(account.reading.sent_ns) / US;
            most_us = since_us.saturating_add(since_us / 1_000 + self.terms.timeout_us);
            let epoch = account.epoch.map_or_else(String::new, |(number, birth)| format!("{number}:{birth}"));
            seen = (account.reading.store_us, epoch);
            let asked = account.reading.sent_ns.saturating_add(account.reading.took_ns);
            let runs_by = asked.saturating_add(lengthened(most_us.saturating_mul(US)));
            let over_ns = runs_by.saturating_add(lengthened(self.terms.lease_us * US));
            account.over_ns = account.over_ns.max(over_ns);
            // Such a request may run at any time.
            account.entitled &= !account.rebase;
            lease.keep(account.words());
        }
        let LeaseTerms { count, period_us, burst, lease_us, most, hosts, fallback_us, share, .. } = self.terms;
        // Saturating: foreign bytes in the lease must not panic.
        let spent = account.added.saturating_sub(account.dropped).saturating_sub(held.into());
        let flags = [u64::from(account.rebase && !hello), hosts.into(), fallback_us, share.into(), bye.into()];
        let own = [account.seq, held.into(), spent, want.into(), demand];
        let limit = [count, period_us, burst.into(), lease_us, most.into()];
        let mut args = vec![self.id.clone()];
        args.extend(own.iter().chain(&limit).map(u64::to_string));
        args.extend([seen.1, seen.0.to_string(), most_us.to_string()]);
        args.extend(flags.iter().map(u64::to_string));
        Request { args, sent_ns: now, want, hello, bye }
    }

    /// Takes an answer that came in time.
    pub fn answered(&mut self, now: u64, lease: &impl Ledger, request: &Request, answer: &Answer) -> Outcome {
        let took_ns = now.saturating_sub(request.sent_ns);
        let reading = Reading { store_us: answer.store_us, sent_ns: request.sent_ns, took_ns };
        let account = &mut self.account;
        match answer.status.as_str() {
            "hello" => {
                let Some(epoch) = epoch(&answer.epoch) else { return Outcome::Nonsense };
                self.known = request.hello;
                // Of the same epoch the old reading stays: it is what tells a leap of the store's clock.
                if request.hello && account.epoch != Some(epoch) {
                    (account.epoch, account.reading, account.rebase) = (Some(epoch), reading, false);
                    lease.keep(account.words());
                    return Outcome::Hello { epoch: true };
                }
                Outcome::Hello { epoch: false }
            }
            "late" => {
                // In time: it was the store's clock that leapt, and no request that stood about.
                account.rebase = took_ns <= self.terms.timeout_us * US;
                lease.keep(account.words());
                Outcome::Late
            }
            "ok" if !request.hello && answer.granted <= request.want.into() => {
                (account.reading, account.rebase) = (reading, false);
                // The store reserves nothing for who has left.
                account.entitled = answer.entitled && !request.bye;
                account.ok_sent_ns = (!request.bye).then_some(request.sent_ns);
                let tokens = answer.granted as u32;
                account.added = account.added.saturating_add(tokens.into());
                lease.keep(account.words());
                let deadline = request.sent_ns.saturating_add(shortened(self.terms.lease_us * US));
                let dropped = lease.grant_at(now, deadline, tokens, answer.keep).dropped;
                if dropped > 0 {
                    account.dropped = account.dropped.saturating_add(dropped.into());
                    lease.keep(account.words());
                }
                Outcome::Granted { tokens, scarce: tokens < request.want }
            }
            "old" => Outcome::Old,
            "settings" => Outcome::OtherSettings,
            _ => Outcome::Nonsense,
        }
    }

    /// While the store does not answer, and no request is under way: when the lease is over, and that of every request
    /// that may still have run, fills the lease from the local share. It begins empty.
    pub fn unreachable(&mut self, now: u64, lease: &impl Ledger) {
        let LeaseTerms { count, period_us, lease_us, hosts, fallback_us, share, .. } = self.terms;
        let account = &mut self.account;
        let Some(ok_sent_ns) = account.ok_sent_ns.filter(|_| fallback_us > 0 && account.entitled) else { return };
        let until_ns = ok_sent_ns.saturating_add(shortened((lease_us + fallback_us) * US));
        if now < account.over_ns || now >= until_ns {
            return;
        }
        let local = account.local.get_or_insert(Local { filled_ns: now, held: 0, until_ns });
        let interval = (u128::from(period_us) * u128::from(US) * u128::from(hosts)).div_ceil(count.into()) as u64;
        let due = now.saturating_sub(local.filled_ns) / interval;
        // Never above what was free while the time passed: when the others were spent is not known.
        let room = u64::from(share.saturating_sub(local.held));
        // Full, it keeps no part of a token beside.
        local.filled_ns = if due >= room { now } else { local.filled_ns + due * interval };
        let tokens = due.min(room) as u32;
        local.held = lease.tokens_at(now).saturating_add(tokens);
        if tokens > 0 {
            let until_ns = local.until_ns;
            account.added = account.added.saturating_add(tokens.into());
            lease.keep(account.words());
            let dropped = lease.grant_at(now, until_ns, tokens, true).dropped;
            account.dropped = account.dropped.saturating_add(dropped.into());
        }
        lease.keep(account.words());
    }
}
