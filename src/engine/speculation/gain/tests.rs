//! Devices with a clock of their own: what is proposed pays, and the rest is
//! left alone.

use super::{times::PAUSE, *};

const ALONE: Batch = Batch {
    decoding: 1,
    proposing: 1,
};

/// Chooses, and does so.
fn chosen(
    gain: &mut Gain,
    batch: Batch,
    source: Source,
    acceptance: &Acceptance,
    most: usize,
) -> usize {
    let choice = gain.choose(batch, source, acceptance, most, false);
    choice.map_or(0, |choice| {
        gain.made(choice, source);
        choice.count
    })
}

/// An engine with a clock of its own: a step costs `fixed` and `each` row.
struct Device {
    fixed: f64,
    row: f64,
    gain: Gain,
    seconds: f64,
    tokens: f64,
}

impl Device {
    fn new(fixed: f64, row: f64) -> Self {
        Self {
            fixed,
            row,
            gain: Gain::default(),
            seconds: 0.0,
            tokens: 0.0,
        }
    }

    /// One step of one sequence whose first `right` proposals are right.
    fn step(&mut self, acceptance: &mut Acceptance, right: usize) -> usize {
        let count = chosen(&mut self.gain, ALONE, Source::Lookup, acceptance, 8);
        let took = self.fixed + self.row * (1 + count) as f64;
        self.gain.record(1, count, Source::Lookup, took);
        let accepted = right.min(count);
        // What was not proposed is looked up all the same.
        match count {
            0 => acceptance.record(1, right.min(1)),
            _ => acceptance.record(count, accepted),
        }
        self.seconds += took;
        self.tokens += 1.0 + accepted as f64;
        count
    }

    fn plain_rate(&self) -> f64 {
        1.0 / (self.fixed + self.row)
    }

    fn rate(&self) -> f64 {
        self.tokens / self.seconds
    }
}

#[test]
fn buckets_grow_by_halves() {
    let counts = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 24, 25];
    let buckets = [0, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10];
    assert_eq!(counts.map(bucket), buckets);
}

#[test]
fn where_rows_cost_nothing_good_guesses_are_made_at_full_length() {
    let mut device = Device::new(0.010, 0.000_1);
    let mut acceptance = Acceptance::new(0.5);
    let last = (0..100).map(|_| device.step(&mut acceptance, 8)).last();
    assert_eq!(last, Some(8));
    assert!(
        device.rate() > 6.0 * device.plain_rate(),
        "{}",
        device.rate()
    );
}

#[test]
fn where_every_row_costs_as_much_as_a_step_hardly_any_time_is_lost() {
    let mut device = Device::new(0.000_1, 0.010);
    let mut acceptance = Acceptance::new(0.5);
    let tried = (0..2000)
        .filter(|_| device.step(&mut acceptance, 8) > 0)
        .count();
    assert!(tried < 12, "{tried}");
    assert!(device.rate() > 0.99 * device.plain_rate());
}

#[test]
fn bad_guesses_are_given_up_and_good_ones_taken_up_again() {
    let mut device = Device::new(0.010, 0.001);
    let mut acceptance = Acceptance::new(0.5);
    let tried = (0..500)
        .filter(|_| device.step(&mut acceptance, 0) > 0)
        .count();
    assert!(tried < 10, "{tried}");
    assert!(device.rate() > 0.98 * device.plain_rate());
    let again = (0..40)
        .filter(|_| device.step(&mut acceptance, 8) > 0)
        .count();
    assert!(again > 20, "{again}");
}

#[test]
fn the_length_follows_the_acceptance() {
    let mut gain = Gain::default();
    for _ in 0..4 {
        for rows in 0..=8 {
            gain.record(1, rows, Source::Draft, 0.010 + 0.002 * rows as f64);
        }
    }
    let length = |gain: &mut Gain, p| {
        let sure = Acceptance::new(p);
        chosen(gain, ALONE, Source::Draft, &sure, 8)
    };
    let lengths = [0.2, 0.5, 0.7, 0.97].map(|p| length(&mut gain, p));
    assert!(lengths.is_sorted() && lengths[3] == 8, "{lengths:?}");
    assert!((1..=3).contains(&lengths[1]), "{lengths:?}");
    gain.steps = 1;
    assert_eq!(length(&mut gain, 0.05), 0);
}

#[test]
fn one_slow_step_does_not_decide() {
    let mut gain = Gain::default();
    // The first of a shape is slow, as it compiles.
    for seconds in [9.0, 0.010, 0.010] {
        gain.record(1, 0, Source::Lookup, seconds);
    }
    for seconds in [9.0, 0.011, 5.0, 0.011, 0.011, 0.011, 0.011] {
        gain.record(1, 2, Source::Lookup, seconds);
    }
    let sure = Acceptance::new(0.95);
    assert!(chosen(&mut gain, ALONE, Source::Lookup, &sure, 2) == 2);
}

#[test]
fn those_that_sit_a_step_out_have_to_make_up_for_it() {
    let mut gain = Gain::default();
    for _ in 0..4 {
        for sequences in 1..=4 {
            for rows in 0..=8 {
                gain.record(sequences, rows, Source::Lookup, 0.010);
            }
        }
    }
    let likely = Acceptance::new(0.5);
    let mixed = Batch {
        decoding: 4,
        proposing: 1,
    };
    let worth = |batch, count| gain.worth(batch, Source::Lookup, &likely, count).unwrap();
    // One token more in every other step is what it would have had anyway.
    assert!(worth(mixed, 8) < 1.0 && worth(ALONE, 8) > 1.9);
    let sure = Acceptance::new(0.9);
    assert!(gain.worth(mixed, Source::Lookup, &sure, 8).unwrap() > MARGIN);
}

#[test]
fn a_time_that_was_wrong_or_has_changed_is_found_out() {
    // Every row costs as much as a step, but steps seemed slow at first.
    let mut device = Device::new(0.000_1, 0.010);
    for _ in 0..4 {
        device.gain.record(1, 0, Source::Lookup, 0.2);
    }
    let mut acceptance = Acceptance::new(0.9);
    let tried = |device: &mut Device, acceptance: &mut Acceptance| {
        let tried = (0..3000).filter(|_| device.step(acceptance, 8) > 0);
        tried.count()
    };
    let all = tried(&mut device, &mut acceptance);
    assert!(all < 800, "{all}");
    // Rows become cheap: sooner or later it is tried again, and kept.
    (device.fixed, device.row) = (0.010, 0.000_1);
    tried(&mut device, &mut acceptance);
    let all = tried(&mut device, &mut acceptance);
    assert!(all > 2800, "{all}");
}

#[test]
fn what_is_never_measured_is_not_tried_for_ever() {
    let mut gain = Gain::default();
    let sure = Acceptance::new(0.9);
    let mut tried = 0;
    for _ in 0..500 {
        gain.record(1, 0, Source::Lookup, 0.010);
        tried += usize::from(chosen(&mut gain, ALONE, Source::Lookup, &sure, 8) > 0);
    }
    assert!((4..20).contains(&tried), "{tried}");
}

#[test]
fn all_of_a_batch_try_together() {
    let mut gain = Gain::default();
    let batch = Batch {
        decoding: 4,
        proposing: 4,
    };
    for _ in 0..2 {
        gain.record(4, 0, Source::Draft, 0.010);
    }
    let sure = Acceptance::new(0.9);
    // Nothing of proposals is known: some are tried.
    for _ in 0..4 {
        assert!(chosen(&mut gain, batch, Source::Draft, &sure, 8) > 0);
    }
    for _ in 0..4 {
        gain.record(4, 8, Source::Draft, 0.100);
    }
    assert_eq!(
        chosen(&mut gain, batch, Source::Draft, &sure, 8),
        0,
        "it was dear"
    );
    // Nine steps were lost: a hundredth of what is computed until the next.
    for _ in 0..PAUSE {
        gain.record(4, 0, Source::Draft, 0.010);
    }
    assert_eq!(chosen(&mut gain, batch, Source::Draft, &sure, 8), 0);
    for _ in PAUSE..900 {
        gain.record(4, 0, Source::Draft, 0.010);
    }
    for _ in 0..4 {
        assert_eq!(
            chosen(&mut gain, batch, Source::Draft, &sure, 8),
            2,
            "again"
        );
    }
    gain.record(4, 8, Source::Draft, 0.100);
    assert_eq!(chosen(&mut gain, batch, Source::Draft, &sure, 8), 0);
}

#[test]
fn rows_that_are_computed_again_are_counted() {
    let half = Acceptance::new(0.5);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    // One of three with ¼, two with ⅛.
    assert!(near(half.expected_of_some(3), 0.25 + 2.0 * 0.125));
    assert_eq!(half.expected_of_some(1), 0.0);
    assert!(near(Acceptance::new(1.0).expected_of_some(8), 0.0));
    // Where a row costs a fifth of a step, half of the guesses are worth one
    // row each, but not the rows that follow.
    let choice = |again| {
        let mut gain = Gain::new(false, again);
        for rows in [0, 0, 0, 1, 1, 2, 2, 4, 4, 8, 8] {
            gain.record(1, rows, Source::Lookup, 0.010 + 0.002 * rows as f64);
        }
        let choice = gain.choose(ALONE, Source::Lookup, &Acceptance::new(0.7), 8, false);
        choice.map_or(0, |choice| choice.count)
    };
    assert!(
        choice(true) < choice(false),
        "{} {}",
        choice(true),
        choice(false)
    );
    assert!(choice(true) > 0);
}

/// A device whose host takes as long to launch a step as the device to compute
/// it, hidden while steps are launched ahead. Something is found at 6 of 10
/// steps, and each token of it right with `p`. Tokens in the time of a plain
/// step; `told` of the steps that were waited for, the engine knows better.
fn hidden_host(p: f64, told: bool) -> f64 {
    let (host, fixed, row) = (0.010, 0.010, 0.000_5);
    let mut gain = Gain::default();
    let mut acceptance = Acceptance::new(0.5);
    let mut random = 7u32;
    let mut chance = move |p: f64| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(random >> 8) / f64::from(1 << 24) < p
    };
    let (mut seconds, mut tokens) = (0.0, 0.0);
    let (mut ahead, mut found) = (false, false);
    for _ in 0..5000 {
        let choice = found
            .then(|| gain.choose(ALONE, Source::Lookup, &acceptance, 8, ahead))
            .flatten();
        let device = |count: usize| fixed + row * (1 + count) as f64;
        match choice {
            // The step in flight first: then there may be nothing any more.
            Some(_) if ahead => {
                gain.record(1, 0, Source::Lookup, device(0));
                seconds += device(0);
                (ahead, found) = (false, chance(p));
                acceptance.record(1, usize::from(found));
                tokens += 1.0;
            }
            Some(choice) => {
                gain.made(choice, Source::Lookup);
                let took = host + device(choice.count);
                gain.record(1, choice.count, Source::Lookup, took);
                seconds += took;
                let right = (0..choice.count).take_while(|_| chance(p)).count();
                acceptance.record(choice.count, right);
                tokens += 1.0 + right as f64;
                found = right == choice.count || chance(0.6);
            }
            None => {
                let took = if ahead { device(0) } else { host + device(0) };
                match ahead {
                    true => gain.record(1, 0, Source::Lookup, took),
                    false if told => gain.record_waited(1, took),
                    false => {}
                }
                if found {
                    acceptance.record(1, usize::from(chance(p)));
                }
                seconds += took;
                tokens += 1.0;
                (ahead, found) = (true, chance(0.6));
            }
        }
    }
    tokens / seconds * (fixed + row)
}

#[test]
fn where_waiting_costs_as_much_as_a_step_hardly_anybody_waits_in_vain() {
    for p in [0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0] {
        let (told, untold) = (hidden_host(p, true), hidden_host(p, false));
        println!("{p}: {told:.3}, not told {untold:.3}");
        assert!(told > 0.97, "{p}: {told}");
    }
    assert!(hidden_host(0.6, false) < 0.95);
    assert!(hidden_host(0.8, true) > 1.2 && hidden_host(1.0, true) > 3.0);
}
