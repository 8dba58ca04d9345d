//! The simulator's command line.

use std::process::ExitCode;

use anser_sim::switch::{Switch, Trial};
use anser_sim::{Run, on_all_processors, run, run_many};
use clap::Parser;

/// Runs the server's machines in virtual time, with everything around them fake and nasty, and judges what clients saw.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Arguments {
    /// How many seeds to run.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this seed alone.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Print everything that happens.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Break one rule after the other, and demand that the checker notices; or, with --seed or --seeds, only those named.
    #[arg(long)]
    zoo: bool,
    /// Break this rule.
    #[arg(long = "break", value_name = "RULE")]
    broken: Option<String>,
    /// Only the weather that brings the rule out, with nothing broken.
    #[arg(long, requires = "broken")]
    whole: bool,
    /// Several message nodes with an access node, instead of one node with all.
    #[arg(long)]
    several: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let switch = match arguments.broken.as_deref().map(find_switch) {
        None => None,
        Some(Some(switch)) => Some(switch),
        Some(None) => {
            let names: Vec<&str> = Switch::ALL.iter().map(|s| s.name()).collect();
            eprintln!("there is no such rule; there are: {}", names.join(", "));
            return ExitCode::FAILURE;
        }
    };
    let whole = if arguments.several { Trial::Several } else { Trial::Plain };
    let trial = switch.map_or(whole, if arguments.whole { Trial::Whole } else { Trial::Broken });
    let is_good = if arguments.zoo {
        visit_zoo(arguments.from, arguments.seeds.unwrap_or(1_000), switch)
    } else if let Some(seed) = arguments.seed {
        show(&run(seed, trial), arguments.trace)
    } else {
        run_seeds(arguments.from, arguments.seeds.unwrap_or(100), trial)
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn find_switch(name: &str) -> Option<Switch> {
    Switch::ALL.iter().copied().find(|s| s.name() == name)
}

fn show(run: &Run, trace: bool) -> bool {
    if trace {
        println!("{}", run.cast);
        for (place, line) in run.lines.iter().enumerate() {
            println!("{place:6} {:>7}.{:03} {:?}", line.at / 1_000_000, line.at / 1000 % 1000, line.event);
        }
    }
    println!("seed {}: {} starts, {}{}", run.seed, run.starts, run.report, run.unfinished);
    if !run.last_error.is_empty() {
        println!("the server ended with {}", run.last_error);
    }
    println!("trace {:016x}", run.trace_hash());
    let (passed, failed) = if run.is_good() { (1, 0) } else { (0, 1) };
    println!("{passed} passed, {failed} failed");
    run.is_good()
}

fn run_seeds(from: u64, count: u64, trial: Trial) -> bool {
    let (mut passed, mut failed, mut acked, mut shown, mut starts) = (0u64, 0u64, 0, 0, 0);
    run_many(from..from.saturating_add(count), trial, |run| {
        acked += run.report.acked;
        shown += run.report.shown;
        starts += run.starts;
        if run.is_good() {
            passed += 1;
        } else {
            failed += 1;
            println!("seed {} FAILED: {}{}", run.seed, run.report, run.unfinished);
        }
    });
    println!("{acked} messages acked, {shown} times shown, {starts} starts of the server");
    println!("{passed} passed, {failed} failed");
    failed == 0
}

/// Breaks every rule in turn, until the checker has noticed; and demands that it finds nothing on the same seeds when the
/// rule is whole.
fn visit_zoo(from: u64, seeds_max: u64, only: Option<Switch>) -> bool {
    let (mut passed, mut failed) = (0, 0);
    let switches = Switch::ALL.iter().copied().filter(|switch| only.is_none_or(|only| only == *switch));
    let visited = |switch| (switch, visit(switch, from..from.saturating_add(seeds_max)));
    on_all_processors(switches, visited, |(switch, (is_good, line))| {
        println!("{:24} {line}", switch.name());
        if is_good {
            passed += 1;
        } else {
            failed += 1;
        }
    });
    println!("{passed} passed, {failed} failed");
    failed == 0
}

fn visit(switch: Switch, seeds: std::ops::Range<u64>) -> (bool, String) {
    for seed in seeds.clone() {
        let whole = run(seed, Trial::Whole(switch));
        if !whole.is_good() {
            return (false, format!("NOT GREEN when whole, seed {seed}: {}{}", whole.report, whole.unfinished));
        }
        if let Some(violation) = run(seed, Trial::Broken(switch)).caught(switch) {
            return (true, format!("caught at seed {seed}: {}: {}", violation.promise, violation.what));
        }
    }
    (false, format!("NOT CAUGHT by any of {} seeds", seeds.end - seeds.start))
}
