//! A copy of a data directory while its daemon runs, from which another can start.

use std::{collections::BTreeSet, io};

use super::{Error, archive, disk::Disk, format::parse_segment_name, recovery, segment::SPARES};

/// How much is copied at a time.
const PIECE: usize = 1 << 20;

/// Copies log and archive into an empty directory, durably, and says how many bytes that were. Whoever calls it must see to it that
/// the archive is not edited meanwhile; the log may be written to.
///
/// Segments come after the archive and in their order, each from front to back: so a copied mark never promises a record that was
/// not copied, and the archive never needs a segment that is gone.
///
/// # Errors
/// [`Error::Foreign`] if there is a log already, or whatever one of the disks says.
pub fn copy(from: &dyn Disk, to: &dyn Disk) -> Result<u64, Error> {
    let _lock = recovery::lock(to)?;
    let there = to.list().map_err(|e| Error::io("listing", "the new directory", e))?;
    if let Some(file) =
        there.into_iter().find(|name| parse_segment_name(name).is_some() || name == archive::FILE)
    {
        return Err(Error::Foreign { file, what: "the new directory has a log already".to_owned() });
    }
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut newest: Option<String> = None;
    let mut bytes = 0;
    loop {
        let mut names = from.list().map_err(|e| Error::io("listing", "the data directory", e))?;
        names.retain(|name| is_kept(name) && !done.contains(name));
        if names.is_empty() {
            break;
        }
        // A segment was begun while the others were copied: the one before it was written to until then.
        names.extend(newest.take());
        // The archive and whatever else there is first, then the segments.
        names.sort_by_key(|name| parse_segment_name(name));
        newest = names.last().filter(|name| parse_segment_name(name).is_some()).cloned();
        for name in names {
            bytes += copy_file(from, to, &name)?;
            done.insert(name);
        }
    }
    to.sync_dir().map_err(|e| Error::io("syncing", "the new directory", e))?;
    Ok(bytes)
}

/// What makes a directory what it is; not what is made again at each start, or belongs to others.
fn is_kept(name: &str) -> bool {
    parse_segment_name(name).is_some()
        || name == archive::FILE
        || name == super::format::IDENTITY
        || (!SPARES.contains(&name) && [".pem", ".keys"].iter().any(|end| name.ends_with(end)))
}

fn copy_file(from: &dyn Disk, to: &dyn Disk, name: &str) -> Result<u64, Error> {
    let source = match from.open(name) {
        Ok(source) => source,
        // Let go of meanwhile: then what was copied of the archive has it, and the newest mark says that it is gone.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(Error::io("opening", name, error)),
    };
    let target = to.create(name).map_err(|e| Error::io("creating", name, e))?;
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let read = source.read_at(&mut piece, at).map_err(|e| Error::io("reading", name, e))?;
        if read == 0 {
            break;
        }
        target.write_at(&piece[..read], at).map_err(|e| Error::io("writing", name, e))?;
        at += read as u64;
    }
    target.sync().map_err(|e| Error::io("syncing", name, e))?;
    Ok(at)
}
