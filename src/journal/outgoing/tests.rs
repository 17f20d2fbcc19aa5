//! All or nothing, over kills and power cuts; what can't be read is put aside.

use super::{ASIDE, Changes, FILE, Outgoing, Tray};
use crate::journal::{Disk as _, Position, SimDisk};

const LOG: [u8; 16] = [7; 16];

/// Entries and cursor that belong together: after change n, n entries and the cursor n.
fn change(number: u64) -> Changes {
    let mut changes = Changes::up_to(Position::new(number));
    changes.put(Tray::Waiting, number.to_be_bytes(), vec![7; 50]);
    changes.put(Tray::Known, [1], number.to_be_bytes().to_vec());
    changes
}

fn found(outgoing: &Outgoing) -> (u64, u64) {
    let mut count = 0;
    outgoing.walk(Tray::Waiting, &mut |_, _| count += 1).expect("readable");
    (count, outgoing.cursor().expect("readable").map_or(0, Position::get))
}

#[test]
fn entries_and_the_position_that_they_stem_from_come_and_go_together() {
    let disk = SimDisk::new();
    let outgoing = Outgoing::open(&disk, LOG).expect("a new one");
    assert_eq!(outgoing.cursor().expect("readable"), None);
    for number in 1..=3 {
        outgoing.commit(&change(number)).expect("changed");
    }
    let mut gone = Changes::default();
    gone.remove(Tray::Waiting, 2_u64.to_be_bytes());
    gone.remove(Tray::Waiting, 9_u64.to_be_bytes());
    outgoing.commit(&gone).expect("changed");
    assert_eq!(found(&outgoing), (2, 3));
    outgoing.commit(&Changes::rewinding()).expect("changed");
    drop(outgoing);
    let outgoing = Outgoing::open(&disk, LOG).expect("the same");
    assert_eq!(found(&outgoing), (2, 0));
}

#[test]
fn after_a_power_cut_at_any_moment_each_change_has_happened_or_not() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let outgoing = Outgoing::open(&disk, LOG).expect("a new one");
        outgoing.commit(&change(1)).expect("changed");
        disk.fail_power(seed);
        let mut last = 1;
        for number in 2..20 {
            if outgoing.commit(&change(number)).is_err() {
                break;
            }
            last = number;
        }
        drop(outgoing);
        disk.crash(seed);
        let outgoing = Outgoing::open(&disk, LOG).expect("it is there");
        let (count, cursor) = found(&outgoing);
        assert_eq!(count, cursor, "seed {seed}");
        assert!(cursor >= last, "seed {seed}: {cursor} is less than the {last} that were acknowledged");
    }
}

#[test]
fn what_is_damaged_or_another_logs_is_put_aside_and_begun_anew() {
    for spoil in [true, false] {
        let disk = SimDisk::new();
        let outgoing = Outgoing::open(&disk, LOG).expect("a new one");
        outgoing.commit(&change(1)).expect("changed");
        drop(outgoing);
        if spoil {
            disk.put(FILE, vec![1; 5_000]);
        }
        let log = if spoil { LOG } else { [8; 16] };
        let outgoing = Outgoing::open(&disk, log).expect("a new one");
        assert_eq!(found(&outgoing), (0, 0));
        assert!(disk.list().expect("names").iter().any(|name| name == ASIDE));
    }
}
