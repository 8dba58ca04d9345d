//! The load tool: puts a server under load, measures, and checks on every run that nothing acked was lost, doubled or
//! reordered.
//!
//! `anser load private|group|drain|sign-in|idle`. It shares the machine with the server it measures, so it is lean: one
//! thread by default, one task per terminal, no queue between a frame and the counters. Terminals are the ordinary client
//! session; the tool knows nothing of how a server works inside.
//!
//! Latencies of an open loop (`--rate`) count from the moment a message was *due*, so that a server that stalls is charged
//! for all that had to wait. A closed loop (`--closed`) keeps a window of messages per pair and measures what it can get.

mod args;
mod body;
mod check;
mod commission;
mod fleet;
mod pacer;
mod parts;
mod peer;
mod plot;
mod process;
mod recorder;
mod report;
mod scenario;
mod stage;
mod stopwatch;

pub use args::LoadArgs;
pub use report::Report;

/// Runs what the arguments say, prints a summary, and writes the files that were asked for. Builds its own runtime: not to
/// be called from within one.
///
/// Returns the report; [`Report::is_good`] says whether the promises were kept, and a command line ends with a non-zero code
/// where not. An error means that there is no result: the server could not be reached, a file could not be written.
pub fn run(args: LoadArgs) -> anyhow::Result<Report> {
    parts::run(args)
}
