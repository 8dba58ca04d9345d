//! `anser serve`: settings from everywhere, then the node until it ends.

use anser_node::config::{Loaded, Sources};
use anser_node::{ServeError, ServeOptions};

use crate::cli::ServeArgs;
use crate::commands::config::environment;
use crate::failure::Failure;
use crate::logging::{self, LogFormat};

pub(crate) fn run(args: ServeArgs) -> Result<(), Failure> {
    let flags = flags(&args)?;
    let sources = Sources { file: args.config, environment: environment(), flags };
    let Loaded { config, unknown_variables } = sources.load().map_err(Failure::usage)?;
    logging::start(args.log, "info")?;
    for name in unknown_variables {
        tracing::warn!(name, "variable names no setting and is not used");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let options = ServeOptions { ready_file: args.ready_file };
    let served = runtime.block_on(Box::pin(anser_node::serve(config, options)));
    runtime.shutdown_background();
    let served = served.map_err(|error| match error {
        ServeError::Unfit(_) => Failure::usage(error),
        other => other.into(),
    });
    if let (Err(failure), LogFormat::Json) = (&served, args.log) {
        // Whoever reads log lines by machine does not find what is written for people.
        tracing::error!(error = %failure, "the server ends");
    }
    served
}

/// What the flags say, as settings.
fn flags(args: &ServeArgs) -> Result<Vec<(String, String)>, Failure> {
    let named = [
        ("data", &args.data),
        ("http", &args.http),
        ("tcp", &args.tcp),
        ("ws", &args.ws),
        ("admin.listen", &args.admin),
        ("app.key", &args.app_key),
        ("app.secret", &args.app_secret),
        ("tls.certificate", &args.tls_certificate),
        ("tls.key", &args.tls_key),
        ("tls.tcp", &args.tls_tcp),
        ("tls.ws", &args.tls_ws),
    ];
    let mut flags: Vec<_> =
        named.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?))).collect();
    for text in &args.settings {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::usage(anyhow::anyhow!("--set {text}: write NAME=VALUE, as in --set tls.tcp=:8443"))
        })?;
        flags.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(flags)
}
