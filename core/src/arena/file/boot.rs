//! Which boot of the machine this is: a clock's readings, and who lives, mean nothing in another.

use super::super::error::{ArenaError, ArenaErrorKind};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The kernel's own name for this boot; containers of a machine read the same.
pub(super) fn id() -> Result<[u64; 2], ArenaError> {
    let failed = |why: String| {
        ArenaError::new(
            ArenaErrorKind::System,
            format!("cannot tell this boot of the machine from others: {BOOT_ID}: {why}"),
        )
    };
    let text = std::fs::read_to_string(BOOT_ID).map_err(|error| failed(error.to_string()))?;
    parse(&text).ok_or_else(|| failed(format!("{:?} is not an id", text.trim())))
}

fn parse(text: &str) -> Option<[u64; 2]> {
    let digits = text.trim().replace('-', "");
    let id = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some([(id >> 64) as u64, id as u64])
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_id_is_128_bits_in_hex() {
        let id = super::parse("714d6b2b-5a6d-41cf-ac73-674307bfbc2f\n");
        assert_eq!(id, Some([0x714d_6b2b_5a6d_41cf, 0xac73_6743_07bf_bc2f]));
        assert_eq!(super::parse("714d6b2b"), None);
        assert_eq!(super::parse("not an id, but of thirty-two ch."), None);
        assert_eq!(super::id(), super::id());
    }
}
