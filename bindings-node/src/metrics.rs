//! The scrape behind `lib/metrics.cjs`: one page at a time, which objects are read into.

use crate::failure::Failure;
use crate::io::Io;
use crate::raw::{Answer, Call, Kind, Reply};
use crate::scope::{self, Opened};
use crate::table::Table;
use std::cell::RefCell;
use std::rc::Rc;
use tidegate::metrics::{Family, Measured, Metrics, MetricsFormat, PRIVATE};

/// The page that is being written.
pub(crate) type Page = Rc<RefCell<Metrics>>;

/// Exports the operations: `open` an arena (id out), `begin` a page, read an `arena` into it, `render` it; and what the
/// formats and families are.
pub(crate) fn export(kind: &Kind<Opened>, page: &Page) -> napi::Result<()> {
    let (begun, read, rendered, told) = (Rc::clone(page), Rc::clone(page), Rc::clone(page), Rc::clone(page));
    kind.operation("open", |arenas, io, call| {
        let opened = scope::open(io, call)?;
        // Word 1: whether the scope has an arena.
        io.answer(opened.is_some());
        match opened {
            Some(opened) => {
                let notices = opened.notices();
                call.adopt(arenas, io, opened, 0)?;
                call.string(&notices)
            }
            None => Ok(Reply::Nothing),
        }
    })?
    .operation("begin", move |_, _, _| {
        *begun.borrow_mut() = Metrics::new();
        Ok(Reply::Nothing)
    })?
    .operation("arena", move |arenas, io, _| {
        arenas.with(io, |opened| read.borrow_mut().add_arena(opened.arena()))?;
        Ok(Reply::Nothing)
    })?
    // Numbers: reloads that succeeded and that failed; texts: the hash.
    .operation("policy", move |_, io, call| {
        let hash = call.text()?.unwrap_or_default();
        told.borrow_mut().add_policy(&hash, io.get(0) as u64, io.get(1) as u64);
        Ok(Reply::Nothing)
    })?
    // Texts: the format.
    .operation("render", move |_, _, call| {
        let format = format(call)?;
        let page = rendered.take().render(format);
        call.string(&page)
    })?
    // Texts: a format or nothing, and what Accept says. Its name and Content-Type, a line each.
    .operation("contentType", |_, _, call| {
        let [named, accept] = call.texts(1)?;
        let format = match named {
            Some(named) => named.parse()?,
            None => MetricsFormat::accepted(&accept.unwrap_or_default()),
        };
        call.string(&format!("{}\n{}", format.name(), format.content_type()))
    })?
    // Name, type and help of each, a line each.
    .operation("families", |_, _, call| {
        let lines = Family::ALL.iter().flat_map(|family| [family.name(), family.kind().name(), family.help()]);
        call.string(&lines.collect::<Vec<_>>().join("\n"))
    })?;
    Ok(())
}

fn format(call: Call) -> Result<MetricsFormat, Failure> {
    Ok(call.text()?.unwrap_or_default().parse()?)
}

/// Exports how an object of a kind is read: texts are its name and, of one that lives in a named scope, that.
pub(crate) fn export_read<T, M, F>(kind: &Kind<T>, page: &Page, object: F) -> napi::Result<()>
where
    T: 'static,
    M: Measured,
    F: Fn(&T) -> &M + 'static,
{
    let page = Rc::clone(page);
    kind.operation("read", move |table: &Rc<Table<T>>, io: Io, call: Call| -> Answer {
        let [name, scope] = call.texts(1)?;
        let name = name.unwrap_or_default();
        table.with(io, |it| match scope.as_deref() {
            None | Some(PRIVATE) => page.borrow_mut().add(&name, object(it)),
            Some(scope) => {
                page.borrow_mut().add_in(scope, &name, object(it));
                Ok(())
            }
        })??;
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
