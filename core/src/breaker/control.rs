//! The control word: everything that decides whether a call passes, in one atomic.
//!
//! `kind:3 | backoff:6 | generation:16 | until_ms:39`, high to low. Every transition is one compare-and-swap of this
//! word.
//!
//! A circuit that has closed by itself keeps when it did (`until_ms`) and its backoff for as long as the next trip may
//! ask for them; in its ramp it has a kind of its own, so that the calls of others need no look at it. The ramp's end
//! alone changes the word within a generation.

use super::State;

const UNTIL_BITS: u32 = 39;
const GENERATION_BITS: u32 = 16;
const BACKOFF_BITS: u32 = 6;
const GENERATION_SHIFT: u32 = UNTIL_BITS;
const BACKOFF_SHIFT: u32 = GENERATION_SHIFT + GENERATION_BITS;
const KIND_SHIFT: u32 = BACKOFF_SHIFT + BACKOFF_BITS;

/// The most openings in a row that the word can count; the cooldown stops growing there.
pub(super) const MAX_BACKOFF: u32 = (1 << BACKOFF_BITS) - 1;
const MAX_UNTIL: u64 = (1 << UNTIL_BITS) - 1;
/// Closed, and calls come back by degrees. Permits are those of the closed state.
const RAMPING: u64 = 6;
/// Nobody's: what stood here in a registry has made room. Reads as shut.
const RETIRED: u64 = 7;
/// State and generation: where a permit must agree with the control word.
const IDENTITY: u64 = 0b111 << KIND_SHIFT | ((1 << GENERATION_BITS) - 1) << GENERATION_SHIFT;
/// Bits of a permit's payload: it stands where the control word has the end of the cooldown, and where it has the
/// backoff.
pub(super) const PAYLOAD_BITS: u32 = UNTIL_BITS + BACKOFF_BITS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Control(pub(super) u64);

impl Control {
    /// A new breaker: closed, in generation 1, so that an all-zero permit belongs to no generation.
    pub(super) const FIRST: Self = Self(1 << GENERATION_SHIFT);

    /// What a breaker reads whose place in a registry is another's by now: of no generation, so that nothing
    /// agrees with it.
    pub(super) const GONE: Self = Self(RETIRED << KIND_SHIFT);

    /// Nobody's, of the next generation: outcomes and transitions of the one before are late.
    pub(super) fn retired(self) -> Self {
        Self(self.next(State::Closed, 0, 0).0 | RETIRED << KIND_SHIFT)
    }

    pub(super) fn is_retired(self) -> bool {
        self.0 >> KIND_SHIFT == RETIRED
    }

    #[inline]
    pub(super) fn is_closed(self) -> bool {
        self.0 >> KIND_SHIFT == State::Closed as u64
    }

    /// Closed, in its ramp or after it.
    pub(super) fn can_trip(self) -> bool {
        self.state() == State::Closed
    }

    /// Closed, and in its ramp.
    pub(super) fn is_ramping(self) -> bool {
        self.0 >> KIND_SHIFT == RAMPING
    }

    pub(super) fn state(self) -> State {
        match self.0 >> KIND_SHIFT {
            0 | RAMPING => State::Closed,
            1 => State::Open,
            2 => State::HalfOpen,
            4 => State::Disabled,
            5 => State::MetricsOnly,
            // Foreign bytes read as shut.
            _ => State::ForcedOpen,
        }
    }

    #[inline]
    pub(super) fn generation(self) -> u16 {
        (self.0 >> GENERATION_SHIFT) as u16
    }

    /// Openings from half-open in a row.
    pub(super) fn backoff(self) -> u32 {
        (self.0 >> BACKOFF_SHIFT) as u32 & MAX_BACKOFF
    }

    /// Milliseconds since the breaker was made at which an open circuit lets the first probe pass, or at which a closed
    /// one has closed by itself (0: it has not); of a half-open one how many probes its cycle takes.
    pub(super) fn until_ms(self) -> u64 {
        self.0 & MAX_UNTIL
    }

    /// The word of the next generation. Generation 0 is left out: it marks memory that was never written.
    pub(super) fn next(self, state: State, backoff: u32, until_ms: u64) -> Self {
        let generation = u64::from(self.generation().wrapping_add(1).max(1));
        Self(
            (state as u64) << KIND_SHIFT
                | u64::from(backoff.min(MAX_BACKOFF)) << BACKOFF_SHIFT
                | generation << GENERATION_SHIFT
                | until_ms.min(MAX_UNTIL),
        )
    }

    /// The word of the next generation: half-open, with a cycle of so many probes.
    pub(super) fn next_half_open(self, probes: u32) -> Self {
        self.next(State::HalfOpen, self.backoff(), probes.into())
    }

    /// How many probes the cycle of a half-open circuit takes: at least one, at most `room`, whatever the memory says.
    pub(super) fn probes(self, room: u32) -> u32 {
        self.until_ms().clamp(1, room.into()) as u32
    }

    /// The run of failures of a generation that has had none, see `run.rs`.
    pub(super) fn no_run(self) -> u64 {
        u64::from(self.generation()) << 48
    }

    /// The word of the next generation: closed, in its ramp.
    pub(super) fn next_ramping(self, backoff: u32, closed_ms: u64) -> Self {
        Self(self.next(State::Closed, backoff, closed_ms).0 | RAMPING << KIND_SHIFT)
    }

    /// Closed, with the ramp over: of the same generation.
    pub(super) fn ramped(self) -> Self {
        if self.is_ramping() { Self(self.0 & !(0b111 << KIND_SHIFT)) } else { self }
    }

    /// Whether the generation of this word has ended, as of `word`, which was loaded later.
    #[inline]
    pub(super) fn has_ended(self, word: u64) -> bool {
        self.generation() != Self(word).generation()
    }

    /// A permit's word: this state and generation, and the probe it holds. A closed breaker's is the control word
    /// itself.
    pub(super) fn permit(self, payload: u64) -> u64 {
        let (low, high) = (payload & MAX_UNTIL, payload >> UNTIL_BITS & u64::from(MAX_BACKOFF));
        self.ramped().0 & IDENTITY | high << BACKOFF_SHIFT | low
    }

    /// What a permit's word carries beside state and generation.
    pub(super) fn payload(permit: u64) -> u64 {
        (permit >> BACKOFF_SHIFT & u64::from(MAX_BACKOFF)) << UNTIL_BITS | permit & MAX_UNTIL
    }

    /// Whether a permit was given out in this state and generation; not for a word that
    /// [`is_ramping`](Self::is_ramping).
    #[inline]
    pub(super) fn issued(self, permit: u64) -> bool {
        (self.0 ^ permit) & IDENTITY == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap() {
        let mut word = Control::FIRST;
        for step in 0..70_000_u64 {
            let next = word.next(State::Open, step as u32, step << 23);
            assert_eq!(next.state(), State::Open);
            assert_eq!(next.backoff(), (step as u32).min(MAX_BACKOFF));
            assert_eq!(next.until_ms(), (step << 23).min(MAX_UNTIL));
            assert_ne!(next.generation(), 0, "generation 0 marks memory never written");
            assert_ne!(next.generation(), word.generation());
            word = next;
        }
    }

    #[test]
    fn a_permit_of_the_closed_state_is_the_control_word() {
        let word = Control::FIRST.next(State::Open, 3, 99).next(State::Closed, 0, 0);
        assert_eq!(word.permit(0), word.0 & IDENTITY);
        assert!(word.issued(word.0));
        assert!(!word.next(State::Closed, 0, 0).issued(word.0));
        assert!(!Control::FIRST.issued(0));
    }

    #[test]
    fn a_ramp_is_closed_and_ends_within_its_generation() {
        let ramp = Control::FIRST.next(State::HalfOpen, 3, 0).next_ramping(5, 77);
        assert_eq!((ramp.state(), ramp.is_closed(), ramp.is_ramping()), (State::Closed, false, true));
        let whole = ramp.ramped();
        assert_eq!((whole.state(), whole.is_closed(), whole.is_ramping()), (State::Closed, true, false));
        assert_eq!((whole.backoff(), whole.until_ms(), whole.generation()), (5, 77, ramp.generation()));
        assert!(!ramp.has_ended(whole.0) && ramp.has_ended(ramp.next(State::Open, 0, 0).0));
        assert!(whole.issued(ramp.permit(0)) && whole.issued(whole.permit(0)) && !ramp.issued(ramp.permit(0)));
    }

    #[test]
    fn a_permit_carries_its_payload_beside_its_identity() {
        let word = Control::FIRST.next(State::HalfOpen, 3, 0);
        for payload in [0, 1, MAX_UNTIL, 1 << UNTIL_BITS, (1 << PAYLOAD_BITS) - 1] {
            let permit = word.permit(payload);
            assert_eq!(Control::payload(permit), payload);
            assert!(word.issued(permit) && !word.next(State::HalfOpen, 0, 0).issued(permit));
        }
    }
}
