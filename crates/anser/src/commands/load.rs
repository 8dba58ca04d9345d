//! `anser load`: the load tool.

use anser_load::LoadArgs;

use crate::failure::Failure;

pub(crate) fn run(args: LoadArgs) -> Result<(), Failure> {
    let report = anser_load::run(args)?;
    if report.is_good() { Ok(()) } else { Err(Failure::Failed(anyhow::anyhow!("promises were broken, see above"))) }
}
