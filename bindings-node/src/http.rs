//! The operations of `ClientAddress` and `AccessList` in `lib/http.cjs`.

use crate::convert::duration;
use crate::failure::Failure;
use crate::raw::{Call, Kind, Reply};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};
use tidegate::http::{AccessList, Answer, ClientAddress, Verdict, overload_retry_after, parse_address};

/// Runs `f` on the call's two texts: the peer, and the header's lines joined by line feeds, which no header holds.
fn with_request<R>(call: Call, f: impl FnOnce(&str, &[u8]) -> R) -> Result<R, Failure> {
    call.with_keys(|texts| {
        // JavaScript has passed two strings, which arrive as UTF-8.
        let [peer, lines] = *texts else { return Err(Failure::Internal("a peer and its lines".to_owned())) };
        Ok(f(&String::from_utf8_lossy(peer), lines))
    })
}

fn split(lines: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    lines.split(|&byte| byte == b'\n')
}

/// Exports the operations of `ClientAddress`.
pub(crate) fn export_clients(kind: &Kind<ClientAddress>) -> napi::Result<()> {
    kind.operation("create", |clients, io, call| {
        let ([trusted], header) = call.lists_and_text()?;
        // JavaScript has checked that they are whole numbers; what no u8 holds is as wrong as 255.
        let prefix = |index| io.get(index).clamp(0.0, 255.0) as u8;
        let core = ClientAddress::new().with_trusted(trusted.iter().map(String::as_str))?;
        let core = core.with_header(&header)?.with_prefixes(prefix(0), prefix(1))?;
        call.adopt(clients, io, core, 0)
    })?
    // Nothing: the peer's text is the key already.
    .operation("key", |clients, io, call| {
        let key = with_request(call, |peer, lines| {
            clients.with(io, |clients| match clients.key(peer, split(lines)) {
                Cow::Borrowed(_) => None,
                Cow::Owned(key) => Some(key),
            })
        })??;
        key.map_or(Ok(Reply::Nothing), |key| call.string(&key))
    })?
    // Nothing: the client has no address.
    .operation("address", |clients, io, call| {
        let address =
            with_request(call, |peer, lines| clients.with(io, |clients| clients.address(peer, split(lines))))??;
        address.map_or(Ok(Reply::Nothing), |address| call.string(&address.to_string()))
    })?
    // Nothing: no header is read.
    .operation("header", |clients, io, call| {
        let header = clients.with(io, |clients| clients.header().map(str::to_owned))?;
        header.map_or(Ok(Reply::Nothing), |header| call.string(&header))
    })?;
    Ok(())
}

/// Exports the operations of `AccessList`.
pub(crate) fn export_lists(kind: &Kind<AccessList>) -> napi::Result<()> {
    kind.operation("create", |lists, io, call| {
        let ([allow, deny], _) = call.lists_and_text()?;
        let core = AccessList::new(allow.iter().map(String::as_str), deny.iter().map(String::as_str))?;
        let entries: usize = allow.iter().chain(&deny).map(|entry| entry.len() + 64).sum();
        call.adopt(lists, io, core, entries)
    })?
    // The verdict's number, in the order of `VERDICTS` in lib/http.cjs.
    .operation("verdict", |lists, io, call| {
        let verdict = call.with_keys(|texts| {
            let [address, key] = *texts else { return Err(Failure::Internal("an address and a key".to_owned())) };
            lists.with(io, |list| list.verdict(parse_address(address), key))
        })?;
        io.set_word(
            1,
            match verdict {
                Verdict::Limit => 0,
                Verdict::Allow => 1,
                Verdict::Deny => 2,
            },
        );
        Ok(Reply::Nothing)
    })?;
    Ok(())
}

/// Exports `failed`, whether an answer of the status in number 0 is a failure, and `retryAfter`, the ms that its three
/// fields ask for, NaN for none; number 1 is the most, number 2 the time of day in ms. `overload`: the seconds that are
/// told of a refusal, by depth, what was done, the window in ms and a draw.
pub(crate) fn export_answers(kind: &Kind<()>) -> napi::Result<()> {
    kind.operation("failed", |_, io, _| {
        io.answer(Answer { status: io.get(0) as u16, ..Answer::default() }.failed());
        Ok(Reply::Nothing)
    })?
    .operation("retryAfter", |_, io, call| {
        let fields: [Option<String>; 3] = call.texts(1)?;
        let [retry_after, retry_after_ms, date] = fields.each_ref().map(|text| text.as_deref().map(str::as_bytes));
        let answer = Answer { status: io.get(0) as u16, retry_after, retry_after_ms, date };
        let span = |ms: f64| Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
        let now = SystemTime::UNIX_EPOCH.checked_add(span(io.get(2))).unwrap_or(SystemTime::UNIX_EPOCH);
        let wait = answer.retry_after(now, span(io.get(1)));
        io.set([wait.map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)]);
        Ok(Reply::Nothing)
    })?
    .operation("overload", |_, io, _| {
        let (depth, done, window) = (io.get(0) as u64, io.get(1) as u64, duration(io.get(2)));
        io.set([overload_retry_after(depth, done, window, io.get(3)) as f64]);
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
