//! The simulator's command line.

use std::process::ExitCode;

use anser_sim::switch::Switch;
use anser_sim::{Run, run, run_many};
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
    let is_good = if arguments.zoo {
        visit_zoo(arguments.from, arguments.seeds.unwrap_or(40), switch)
    } else if let Some(seed) = arguments.seed {
        show(&run(seed, switch), arguments.trace)
    } else {
        run_seeds(arguments.from, arguments.seeds.unwrap_or(100), switch)
    };
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn find_switch(name: &str) -> Option<Switch> {
    Switch::ALL.iter().copied().find(|s| s.name() == name)
}

fn show(run: &Run, trace: bool) -> bool {
    if trace {
        println!("{}", run.cast);
        for (place, line) in run.lines.iter().enumerate() {
            println!(
                "{place:6} {:>9.3} {:?}",
                milliseconds(line.at) / 1000.0,
                line.event
            );
        }
    }
    println!("seed {}: {} starts, {}", run.seed, run.starts, run.report);
    if !run.last_error.is_empty() {
        println!("the server ended with {}", run.last_error);
    }
    println!("trace {:016x}", run.trace_hash());
    let (passed, failed) = if run.is_good() { (1, 0) } else { (0, 1) };
    println!("{passed} passed, {failed} failed");
    run.is_good()
}

/// For people: enough digits for any run.
fn milliseconds(micros: u64) -> f64 {
    f64::from(u32::try_from(micros / 1000).unwrap_or(u32::MAX))
}

fn run_seeds(from: u64, count: u64, switch: Option<Switch>) -> bool {
    let (mut passed, mut failed, mut acked, mut shown, mut starts) = (0u64, 0u64, 0, 0, 0);
    run_many(from..from.saturating_add(count), switch, |run| {
        acked += run.report.acked;
        shown += run.report.shown;
        starts += run.starts;
        if run.is_good() {
            passed += 1;
        } else {
            failed += 1;
            println!("seed {} FAILED: {}", run.seed, run.report);
        }
    });
    println!("{acked} messages acked, {shown} times shown, {starts} starts of the server");
    println!("{passed} passed, {failed} failed");
    failed == 0
}

/// Every rule is broken in turn, until the checker has noticed.
fn visit_zoo(from: u64, seeds_max: u64, only: Option<Switch>) -> bool {
    let (mut passed, mut failed) = (0, 0);
    for &switch in Switch::ALL
        .iter()
        .filter(|s| only.is_none_or(|only| only == **s))
    {
        let caught = (from..from.saturating_add(seeds_max)).find_map(|seed| {
            let run = run(seed, Some(switch));
            let promise = switch.breaks().iter().find(|p| run.report.count(**p) > 0)?;
            Some((
                seed,
                *promise,
                run.report
                    .violations
                    .iter()
                    .find(|v| v.promise == *promise)
                    .cloned()?,
            ))
        });
        match caught {
            Some((seed, promise, violation)) => {
                passed += 1;
                println!(
                    "{:24} caught by {promise} at seed {seed}: {}",
                    switch.name(),
                    violation.what
                );
            }
            None => {
                failed += 1;
                println!("{:24} NOT CAUGHT in {seeds_max} seeds", switch.name());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    failed == 0
}
