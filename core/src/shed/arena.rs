//! A shedder that processes share.

use super::signal::{MOST_SIGNALS, Signal, SignalKind};
use super::{LoadShedder, ShedderConfig};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings};
use crate::{Arena, ConfigError, OnConflict};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

impl LoadShedder {
    /// The shedder `name` of an arena, opened or made: one threshold for all who share the arena, on its clock. The
    /// system's files are read by one of them at a time; of what each measures itself (queues, calls under way, loops,
    /// gauges) the largest counts. Mode, functions, `level_key` and `cpu_limit` are each opener's own; with
    /// [`OnConflict::Apply`] processes that have it open go on by their settings.
    ///
    /// Errors: as [`new`](Self::new), and those of the arena: other signals or, unless `on_conflict` says otherwise,
    /// other settings under the name.
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        config: ShedderConfig,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        config.check()?;
        arena.object(name, &config, on_conflict)
    }
}

/// Numbers before the ranges of the signals.
const NUMBERS: usize = 7;

fn range_word(signal: &Signal) -> u64 {
    u64::from((signal.start as f32).to_bits()) << 32 | u64::from((signal.full as f32).to_bits())
}

fn range_of(word: u64) -> (f64, f64) {
    let of = |bits: u64| f64::from(f32::from_bits(bits as u32));
    (of(word >> 32), of(word))
}

impl ArenaObject for LoadShedder {
    const KIND: ObjectKind = ObjectKind::LoadShedder;
    type Config = ShedderConfig;

    fn shape(config: &ShedderConfig) -> String {
        let names: Vec<_> = config.signals.iter().map(|signal| signal.name.as_str()).collect();
        format!("{SIGNALS}{}", names.join(BETWEEN))
    }

    fn settings(config: &ShedderConfig) -> Settings {
        let ShedderConfig { rise, fall, min_admit, critical_at, critical_after, cool_off, interval, .. } = config;
        let ns = |span: &Duration| span.as_nanos() as u64;
        let mut words = [0; NUMBERS + MOST_SIGNALS];
        words[..NUMBERS].copy_from_slice(&[
            rise.to_bits(),
            fall.to_bits(),
            min_admit.to_bits(),
            critical_at.to_bits(),
            ns(critical_after),
            ns(cool_off),
            ns(interval),
        ]);
        words[NUMBERS..].iter_mut().zip(&config.signals).for_each(|(word, signal)| *word = range_word(signal));
        let ranges: Vec<_> = config.signals.iter().map(|it| format!("{} to {}", it.start, it.full)).collect();
        let text = format!("each {interval:?} up {rise} or down {fall}, at least {min_admit}; {}", ranges.join(", "));
        Settings::new(&words, text)
    }

    /// How many signals, and their kinds, a byte each: for who looks inside.
    fn basis(config: &ShedderConfig) -> [u64; 8] {
        let mut basis = [config.signals.len() as u64, 0, 0, 0, 0, 0, 0, 0];
        for (at, signal) in config.signals.iter().enumerate() {
            basis[1 + at / 8] |= (signal.kind as u64) << (at % 8 * 8);
        }
        basis
    }

    fn config(context: &OpenContext, own: Option<&ShedderConfig>) -> Result<ShedderConfig, ConfigError> {
        let mut config = match own {
            // Of the same shape, where there is one.
            Some(own) => own.clone(),
            None => ShedderConfig::new(kinds_of(&context.basis, &context.shape)?),
        };
        let [rise, fall, min_admit, critical_at, critical_after, cool_off, interval, ranges @ ..] =
            context.settings.words;
        [config.rise, config.fall, config.min_admit, config.critical_at] =
            [rise, fall, min_admit, critical_at].map(f64::from_bits);
        [config.critical_after, config.cool_off, config.interval] =
            [critical_after, cool_off, interval].map(Duration::from_nanos);
        for (signal, word) in config.signals.iter_mut().zip(ranges) {
            // Where it is one's own, as it was written.
            if range_word(signal) != word {
                (signal.start, signal.full) = range_of(word);
            }
        }
        config.check()?;
        Ok(config)
    }

    fn open(context: &mut OpenContext, config: &ShedderConfig) -> Result<Self, ConfigError> {
        let clock = context.arena.clock().clone();
        Self::in_room(&mut context.room, config.clone(), context.born_ns, clock)
    }

    /// Settings are each handle's own, and this one has been opened with the new ones.
    fn apply(&self, _: &OpenContext, _: &ShedderConfig, _: &ShedderConfig) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// How a shape names the signals.
const SIGNALS: &str = "signals ";
const BETWEEN: &str = ", ";

/// Signals by their kinds and the names in the shape; where those cannot be told apart, by their places.
fn kinds_of(basis: &[u64; 8], shape: &str) -> Result<Vec<Signal>, ConfigError> {
    let count = usize::try_from(basis[0]).ok().filter(|count| *count <= MOST_SIGNALS);
    let count = count.ok_or_else(|| crate::arena::damaged("signals"))?;
    let names: Vec<_> = shape.strip_prefix(SIGNALS).unwrap_or_default().split(BETWEEN).collect();
    let is_whole = names.len() == count && names.iter().collect::<HashSet<_>>().len() == count;
    (0..count)
        .map(|at| {
            let kind = SignalKind::ALL.get((basis[1 + at / 8] >> (at % 8 * 8) & 0xff) as usize);
            let kind = kind.ok_or_else(|| crate::arena::damaged("signals"))?;
            let signal = Signal::new(*kind);
            Ok(if is_whole { signal.named(names[at]) } else { signal.named(&format!("{kind} {at}")) })
        })
        .collect()
}
