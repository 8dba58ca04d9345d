//! Promise *acked-is-durable*: whatever stops the machine, and wherever, the log opens, holds all that was acknowledged, and
//! has no hole.

use proptest::prelude::*;

use super::super::fake::Stop;
use super::*;

/// What is done to a log before it stops.
#[derive(Debug, Clone)]
enum Step {
    /// One commit of several appends: (partition, sizes of the records).
    Commit(Vec<(u8, Vec<usize>)>),
    /// Retention takes all that it may.
    Trim,
}

/// What a run did, and when each record was acknowledged.
#[derive(Default)]
struct Run {
    /// By partition: the body, and how long the journal was when the answer came.
    records: [Vec<(Vec<u8>, usize)>; 3],
}

impl Run {
    fn make(&mut self, log: &mut Stepped, folder: &FakeFolder, step: &Step) {
        match step {
            Step::Trim => {
                let keep_from: Vec<_> =
                    PARTITIONS.all().map(|partition| (partition, log.bounds(partition).end)).collect();
                trim::trim(&log.shared, &keep_from, Timestamp(u64::MAX)).unwrap();
            }
            Step::Commit(appends) => self.commit(log, folder, appends),
        }
    }

    fn commit(&mut self, log: &mut Stepped, folder: &FakeFolder, appends: &[(u8, Vec<usize>)]) {
        let mut answers = Vec::new();
        for (partition, sizes) in appends {
            let records = &mut self.records[usize::from(*partition)];
            let first = records.len();
            for size in sizes {
                let mut body = format!("{partition}/{}", records.len()).into_bytes();
                body.resize(body.len() + size, 0xab);
                records.push((body, usize::MAX));
            }
            let bodies: Vec<_> = records[first..].iter().map(|(body, _)| body.clone()).collect();
            answers.push((*partition, first, log.push(*partition, &bodies)));
        }
        log.committer.step();
        for (partition, first, mut answer) in answers {
            assert_eq!(answer.try_recv().unwrap().unwrap(), Offset(first as u64));
            for (_, acked) in &mut self.records[usize::from(partition)][first..] {
                *acked = folder.journal_len();
            }
        }
    }

    /// Checks that a log, found after `done` operations, holds what it must and nothing that was never appended.
    fn check(&self, log: &Stepped, done: usize) {
        let found = log.read_all().unwrap();
        for ((partition, entries), attempted) in PARTITIONS.all().zip(&found).zip(&self.records) {
            let Bounds { start, end } = log.bounds(partition);
            assert!(entries.iter().map(|entry| entry.offset.0).eq(start.0..end.0));
            let acked = attempted.iter().take_while(|(_, acked)| *acked <= done).count();
            assert!(end.0 >= acked as u64, "acknowledged records are lost");
            let (from, to) = (usize::try_from(start.0).unwrap(), usize::try_from(end.0).unwrap());
            let bodies = attempted[from..to].iter().map(|(body, _)| &body[..]);
            assert!(entries.iter().map(|entry| &entry.bytes[..]).eq(bodies));
        }
    }
}

fn run(steps: &[Step]) -> (FakeFolder, Run) {
    let folder = FakeFolder::default();
    let mut run = Run::default();
    let mut log = Stepped::open(&folder).unwrap();
    steps.iter().for_each(|step| run.make(&mut log, &folder, step));
    (folder, run)
}

#[test]
fn a_process_that_dies_after_any_written_byte_loses_nothing_acknowledged() {
    let commit =
        |appends: &[(u8, &[usize])]| Step::Commit(appends.iter().map(|(p, sizes)| (*p, sizes.to_vec())).collect());
    let (folder, run) = run(&[
        commit(&[(0, &[5]), (1, &[60, 0])]),
        commit(&[(2, &[10]), (0, &[30, 30])]),
        commit(&[(1, &[100])]),
        commit(&[(0, &[150]), (2, &[7])]),
        commit(&[(2, &[20, 20])]),
    ]);
    for done in 0..=folder.journal_len() {
        for bytes in 0..700 {
            let found = folder.after_stop(done, bytes, Stop::Process);
            if bytes > 0 && found.contents() == folder.after_stop(done, bytes - 1, Stop::Process).contents() {
                break;
            }
            run.check(&Stepped::open(&found).unwrap(), done);
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = (0_u8..3, proptest::collection::vec(0_usize..150, 1..4));
    let step = prop_oneof![
        8 => proptest::collection::vec(append, 1..5).prop_map(Step::Commit),
        1 => Just(Step::Trim),
    ];
    proptest::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Also when the power goes again while the log comes back, and after it has gone on.
    #[test]
    fn a_loss_of_power_at_any_time_loses_nothing_acknowledged(
        steps in steps(),
        more in steps(),
        stops in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..800, any::<u64>()), 3),
    ) {
        let (mut folder, mut run) = run(&steps);
        for (at, bytes, seed) in stops {
            let done = at.index(folder.journal_len() + 1);
            folder = folder.after_stop(done, bytes, Stop::Power(seed));
            let mut log = Stepped::open(&folder).unwrap();
            run.check(&log, done);
            run.forget_lost(&log);
            more.iter().for_each(|step| run.make(&mut log, &folder, step));
            run.check(&log, folder.journal_len());
        }
    }
}

impl Run {
    /// Goes on from what was found: what was never acknowledged and is not there is appended anew, what is there stays.
    fn forget_lost(&mut self, log: &Stepped) {
        for (partition, records) in PARTITIONS.all().zip(&mut self.records) {
            records.truncate(usize::try_from(log.bounds(partition).end.0).unwrap());
            records.iter_mut().for_each(|(_, acked)| *acked = 0);
        }
    }
}
