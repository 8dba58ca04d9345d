//! `anser app`: makes apps, lists them, changes their secrets. Works on the data folder, whether a server runs or not.

use std::path::Path;

use anser_node::{AppFile, AppFileError, OlderTokens, StoredApp};

use crate::cli::{AppCommand, RotateArgs};
use crate::failure::Failure;

pub(crate) fn run(command: &AppCommand) -> Result<(), Failure> {
    match command {
        AppCommand::Create(data) => create(&data.data),
        AppCommand::List(data) => list(&data.data),
        AppCommand::RotateSecret(args) => rotate(args),
    }
}

fn create(folder: &Path) -> Result<(), Failure> {
    let file = AppFile::of(folder);
    let app = file.create()?;
    println!("app key  {}", app.key);
    tell_secret(&file, &app);
    Ok(())
}

fn list(folder: &Path) -> Result<(), Failure> {
    let apps = AppFile::of(folder).read()?;
    if apps.is_empty() {
        return Err(AppFileError::NoApp.into());
    }
    for app in apps {
        let older = app.older_secrets.len();
        println!("{}  secret number {}, {older} older ones good for tokens", app.key, app.secret_id);
    }
    Ok(())
}

fn rotate(args: &RotateArgs) -> Result<(), Failure> {
    let file = AppFile::of(&args.data.data);
    let key = match &args.app {
        Some(key) => key.clone(),
        None => the_only_app(&file)?,
    };
    let tokens = if args.void_tokens { OlderTokens::Void } else { OlderTokens::Keep };
    let app = file.rotate_secret(&key, tokens)?;
    println!("app {} has a new secret; requests signed with the old one are refused within a second", app.key);
    if args.void_tokens {
        println!("tokens made before count no more: users need new ones");
    } else {
        println!("tokens made before stay good");
    }
    tell_secret(&file, &app);
    Ok(())
}

fn the_only_app(file: &AppFile) -> Result<String, Failure> {
    match file.read()?.as_slice() {
        [] => Err(AppFileError::NoApp.into()),
        [app] => Ok(app.key.clone()),
        apps => {
            let keys: Vec<_> = apps.iter().map(|app| app.key.as_str()).collect();
            Err(Failure::usage(anyhow::anyhow!("there are several apps, name one: {}", keys.join(", "))))
        }
    }
}

/// Says where the secret is, not what it is: a terminal keeps what it has shown.
fn tell_secret(file: &AppFile, app: &StoredApp) {
    let first = file.read().ok().and_then(|apps| apps.into_iter().next());
    if first.is_some_and(|first| first.key == app.key) {
        println!("secret   by itself in {}", file.secret_path().display());
    } else {
        println!("secret   in {}", file.path().display());
    }
}
