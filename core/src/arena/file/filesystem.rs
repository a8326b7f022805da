//! Which filesystems share memory between the processes of one machine.

use super::super::error::{ArenaError, ArenaErrorKind};
use super::{Folder, system};
use nix::sys::statfs::{Statfs, fstatfs};

/// Filesystems that several machines mount, or that a program serves: a mapping of theirs is no memory that every
/// process sees at once. Numbers from statfs(2) and the kernel's magic.h.
const REFUSED: [(u32, &str); 18] = [
    (0x0000_6969, "NFS"),
    (0x0000_517B, "SMB"),
    (0xFE53_4D42, "SMB2"),
    (0xFF53_4D42, "CIFS"),
    (0x0000_564C, "NCP"),
    (0x0102_1997, "9p"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636F, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x2003_0528, "OrangeFS"),
    (0x6573_5546, "FUSE"),
    (0x786F_4256, "VirtualBox shared folder"),
];

/// Errors: [`Filesystem`](ArenaErrorKind::Filesystem) when machines share what the folder lies on.
pub(super) fn check(folder: &Folder) -> Result<(), ArenaError> {
    let stat = of(folder)?;
    // The kernel's number has 32 bits; where statfs has wider ones they may come sign-extended.
    match refused(stat.filesystem_type().0 as u32) {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "{} lies on {name}, which machines share or a program serves: an arena is memory of one machine; \
                 choose a directory in /dev/shm or on a local disk (TIDEGATE_DIR or path)",
                folder.path().display()
            );
            Err(ArenaError::new(ArenaErrorKind::Filesystem, message))
        }
    }
}

fn refused(magic: u32) -> Option<&'static str> {
    REFUSED.iter().find(|&&(number, _)| number == magic).map(|&(_, name)| name)
}

/// Bytes that this user may still take.
pub(super) fn free_bytes(folder: &Folder) -> Result<u64, ArenaError> {
    let stat = of(folder)?;
    Ok(stat.blocks_available().saturating_mul(stat.block_size() as u64))
}

fn of(folder: &Folder) -> Result<Statfs, ArenaError> {
    fstatfs(folder).map_err(|why| system("look at the filesystem of", folder.path(), why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::statfs::{FUSE_SUPER_MAGIC, NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, TMPFS_MAGIC};

    #[test]
    fn filesystems_of_several_machines_are_refused() {
        for (kind, name) in [(NFS_SUPER_MAGIC, "NFS"), (SMB_SUPER_MAGIC, "SMB"), (FUSE_SUPER_MAGIC, "FUSE")] {
            assert_eq!(refused(kind.0 as u32), Some(name));
        }
        // CIFS and SMB2 have the highest bit set.
        assert_eq!(refused(0xFF53_4D42_u32 as i32 as i64 as u32), Some("CIFS"));
        assert_eq!(refused(TMPFS_MAGIC.0 as u32), None);
        let mut numbers: Vec<_> = REFUSED.iter().map(|&(number, _)| number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), REFUSED.len());
    }
}
