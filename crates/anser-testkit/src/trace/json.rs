//! The encoding of a trace: a first line with the version, then one JSON object a line.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::{Event, Line};

/// The version that this program writes.
pub const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    anser_trace: u32,
}

/// Why a trace could not be read. Not worth a retry.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file could not be read.
    #[error("the trace cannot be read")]
    Io(#[from] io::Error),
    /// A line is no event.
    #[error("line {line} of the trace is no event")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The trace is of a version that this program does not know.
    #[error("version {0} of a trace is not known")]
    Version(u32),
    /// The first line does not say that this is a trace.
    #[error("this is no trace")]
    NoHead,
}

/// Writes a trace.
#[derive(Debug)]
pub struct TraceWriter<W> {
    out: W,
}

impl<W: Write> TraceWriter<W> {
    /// Begins a trace: its first line is written when this returns.
    pub fn new(mut out: W) -> io::Result<Self> {
        serde_json::to_writer(&mut out, &Head { anser_trace: VERSION })?;
        out.write_all(b"\n")?;
        Ok(Self { out })
    }

    /// Writes one event.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }

    /// Flushes, and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads a trace, line by line.
#[derive(Debug)]
pub struct TraceReader<R> {
    input: R,
    number: usize,
    text: String,
}

impl<R: BufRead> TraceReader<R> {
    /// Opens a trace and checks its version.
    pub fn new(mut input: R) -> Result<Self, TraceError> {
        let mut text = String::new();
        input.read_line(&mut text)?;
        let head: Head = serde_json::from_str(&text).map_err(|_| TraceError::NoHead)?;
        if head.anser_trace != VERSION {
            return Err(TraceError::Version(head.anser_trace));
        }
        Ok(Self { input, number: 1, text })
    }

    fn read(&mut self) -> Result<Option<Line>, TraceError> {
        self.text.clear();
        if self.input.read_line(&mut self.text)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let parsed = serde_json::from_str(&self.text);
        parsed.map(Some).map_err(|source| TraceError::Line { line: self.number, source })
    }
}

impl<R: BufRead> Iterator for TraceReader<R> {
    type Item = Result<Line, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Joins the traces of several writers on one machine by time; the order within each stays. [`Event::Quiet`] comes last,
/// once, if every trace has it: what one writer has settled, another may not.
pub fn merge(traces: Vec<Vec<Line>>) -> Vec<Line> {
    let all_quiet = traces.iter().all(|t| t.iter().any(|l| l.event == Event::Quiet));
    let (quiet, mut lines): (Vec<Line>, Vec<Line>) =
        traces.into_iter().flatten().partition(|l| l.event == Event::Quiet);
    // The sort is stable, so equal times keep the order of their writer.
    lines.sort_by_key(|l| l.at);
    if all_quiet && let Some(last) = quiet.into_iter().max_by_key(|l| l.at) {
        let place = lines.partition_point(|l| l.at <= last.at);
        lines.insert(place, last);
    }
    lines
}
