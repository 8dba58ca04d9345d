//! The images that take the places of public ones, under their names, and what they are made of. `xtask/stand-ins/` says what is
//! real in them and what is not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anser_sandbox::Jars;
use anyhow::Context as _;

use super::engine::Engine;
use super::step::Steps;
use crate::tools;

const BASE: &str = "anser-stand-in:base";
const SUITE: &str = "bookworm";
const PACKAGES: &str = "binutils,ca-certificates,openjdk-17-jre-headless,redis-server,redis-tools";
const BASE_LIMIT: Duration = Duration::from_secs(900);
const BUILD_LIMIT: Duration = Duration::from_secs(120);

/// The images that the compose file names in variables: what each variable is, and its default.
pub(super) fn public_images(compose_file: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for text in compose_file.split("${").skip(1) {
        let Some((variable, image)) = text.split('}').next().and_then(|text| text.split_once(":-")) else { continue };
        let known = found.iter().any(|(name, _)| name == variable);
        if variable.ends_with("_IMAGE") && !known {
            found.push((variable.to_owned(), image.to_owned()));
        }
    }
    found
}

/// What an image is called without the digest that only the public one has.
pub(super) fn without_digest(image: &str) -> &str {
    image.split('@').next().unwrap_or(image)
}

/// What the stand-ins are made of, fetched and built before the engine is there.
#[derive(Debug)]
pub(super) struct Parts {
    base: PathBuf,
    jars: Jars,
    server: PathBuf,
}

impl Parts {
    pub(super) fn get(cache: &Path, server: PathBuf, steps: &Steps) -> anyhow::Result<Self> {
        let jars = Jars::fetch(&tools::cache().join("backends"), |text| println!("         {text}"))?;
        Ok(Self { base: base(cache, steps)?, jars, server })
    }

    /// Makes all stand-ins; `images` are the public ones.
    pub(super) fn build(&self, engine: &Engine, images: &[(String, String)], steps: &Steps) -> anyhow::Result<()> {
        let mut import = engine.docker(&["import"]);
        steps.run("import", import.arg(&self.base).arg(BASE), BUILD_LIMIT)?;
        let contexts = self.base.with_file_name("contexts");
        for (variable, image) in images {
            let image = without_digest(image);
            match variable.as_str() {
                "DEBIAN_IMAGE" | "JAVA_IMAGE" => {
                    steps.run("tag", &mut engine.docker(&["tag", BASE, image]), BUILD_LIMIT)?;
                }
                "KAFKA_IMAGE" => self.build_one(engine, &contexts, "kafka", image, steps)?,
                "REDIS_IMAGE" => self.build_one(engine, &contexts, "redis", image, steps)?,
                "MAVEN_IMAGE" => self.build_one(engine, &contexts, "maven", image, steps)?,
                "RUST_IMAGE" => self.build_one(engine, &contexts, "rust", image, steps)?,
                // Those that the compose file builds.
                "ANSER_IMAGE" | "HBASE_IMAGE" => {}
                other => anyhow::bail!("docker-compose.yml has an image {other} that has no stand-in"),
            }
        }
        std::fs::remove_dir_all(contexts).ok();
        Ok(())
    }

    fn build_one(
        &self,
        engine: &Engine,
        contexts: &Path,
        name: &str,
        image: &str,
        steps: &Steps,
    ) -> anyhow::Result<()> {
        let context = contexts.join(name);
        std::fs::remove_dir_all(&context).ok();
        copy_files(&tools::root().join("xtask/stand-ins").join(name), &context, "")?;
        match name {
            "kafka" => copy_files(&self.jars.kafka, &context.join("jars"), ".jar")?,
            "maven" => {
                copy_files(&self.jars.hbase, &context.join("jars"), ".jar")?;
                std::fs::copy(self.jars.hbase.join("pom.xml"), context.join("pom.xml"))?;
            }
            "rust" => {
                std::fs::copy(&self.server, context.join("anser"))?;
            }
            _ => {}
        }
        let base = format!("BASE={BASE}");
        let mut build = engine.docker(&["build", "--network", "none", "--build-arg", &base, "--tag", image]);
        steps.run("stand-ins", build.arg(&context), BUILD_LIMIT)
    }
}

/// Debian as a file, made once.
fn base(cache: &Path, steps: &Steps) -> anyhow::Result<PathBuf> {
    let name = format!("{SUITE},{PACKAGES}").replace(',', "+");
    let file = cache.join(format!("{name}.tar"));
    if file.exists() {
        return Ok(file);
    }
    steps.tell("making a Debian for the images, once; this takes two minutes");
    std::fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let folder = cache.join("debian");
    std::fs::remove_dir_all(&folder).ok();
    let include = format!("--include={PACKAGES}");
    let mut make = Command::new("debootstrap");
    make.args(["--variant=minbase", &include, SUITE]).arg(&folder);
    steps.run("debootstrap", &mut make, BASE_LIMIT)?;
    let partial = cache.join("partial.tar");
    let mut pack = Command::new("tar");
    // Packages that were downloaded and their lists are of no use any more.
    pack.args(["--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*", "-C"]).arg(&folder).arg("-cf");
    steps.run("tar", pack.arg(&partial).arg("."), BUILD_LIMIT)?;
    std::fs::rename(partial, &file)?;
    std::fs::remove_dir_all(folder)?;
    Ok(file)
}

/// Copies the files of a folder whose names end so, with their rights.
fn copy_files(from: &Path, to: &Path, end: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_file() && name.to_string_lossy().ends_with(end) {
            std::fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_with_the_variables_that_replace_them() {
        let text = "image: ${A_IMAGE:-a/b:1@sha256:0f}\nx: ${OTHER:-c}\ny: ${A_IMAGE:-a/b:1@sha256:0f} ${B_IMAGE:-b:2} ${C:?no}";
        let pair = |name: &str, image: &str| (name.to_owned(), image.to_owned());
        assert_eq!(public_images(text), [pair("A_IMAGE", "a/b:1@sha256:0f"), pair("B_IMAGE", "b:2")]);
        assert_eq!((without_digest("a/b:1@sha256:0f"), without_digest("b:2")), ("a/b:1", "b:2"));
    }

    #[test]
    fn every_crate_of_the_workspace_goes_to_the_engine() {
        let read = |name: &str| std::fs::read_to_string(tools::root().join(name)).unwrap();
        let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
        let ignored = read(".dockerignore");
        for member in manifest["workspace"]["members"].as_array().unwrap() {
            let folder = member.as_str().unwrap().trim_end_matches("/*");
            assert!(ignored.lines().any(|line| line == format!("!{folder}")), "cargo would miss {folder}");
        }
    }

    #[test]
    fn public_images_of_the_compose_file_are_pinned() {
        let text = std::fs::read_to_string(tools::root().join("docker-compose.yml")).unwrap();
        let images = public_images(&text);
        assert!(images.len() > 5, "{images:?}");
        for (variable, image) in images {
            let ours = ["ANSER_IMAGE", "HBASE_IMAGE"].contains(&variable.as_str());
            assert!(ours || image.contains("@sha256:"), "{variable} is {image}");
        }
    }
}
