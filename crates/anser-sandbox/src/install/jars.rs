//! Jars from Maven Central, once for each set of versions.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::apt::Package;
use crate::address;
use crate::spawn;

const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
const MAVEN: Package =
    Package { program: "mvn", name: "maven", what: "Maven 3, by which jars of Kafka and HBase come" };

/// A set of jars: what its folder is called, and the pom that names them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    name: &'static str,
    pom: &'static str,
    megabytes: u32,
}

/// A Kafka broker.
pub(crate) const KAFKA: Set = Set { name: "kafka", pom: include_str!("../../poms/kafka.xml"), megabytes: 45 };
/// HBase and its Thrift gateway.
pub(crate) const HBASE: Set = Set { name: "hbase", pom: include_str!("../../poms/hbase.xml"), megabytes: 120 };

impl Set {
    /// Where its jars belong. Other versions have another folder.
    pub(crate) fn folder(self, cache: &Path) -> PathBuf {
        cache.join(format!("{}-{:016x}", self.name, address::hash(self.pom.as_bytes())))
    }

    /// Sees to it that its jars are there, complete, and returns their folder.
    pub(crate) fn fetch(self, cache: &Path, tell: fn(&str)) -> anyhow::Result<PathBuf> {
        let folder = self.folder(cache);
        let complete = folder.join(".complete");
        if complete.exists() {
            return Ok(folder);
        }
        std::fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
        let maven = MAVEN.find_or_install(cache, tell)?;
        let _one_at_a_time = spawn::lock(&cache.join("lock"))?;
        if complete.exists() {
            return Ok(folder);
        }
        tell(&format!("{}: fetching its jars by Maven into {} ({} MB)", self.name, folder.display(), self.megabytes));
        // What an earlier try left may be half of a jar.
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder)?;
        let pom = folder.join("pom.xml");
        std::fs::write(&pom, self.pom)?;
        let mut command = Command::new(maven);
        command.args(["--quiet", "--batch-mode", "--file"]).arg(&pom).args([COPY, "-DincludeScope=runtime"]);
        command.arg(format!("-DoutputDirectory={}", folder.display()));
        super::run(&mut command, &folder.join("mvn.log"))?;
        std::fs::write(complete, "")?;
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_jars_are_not_fetched_again_and_other_versions_have_another_folder() {
        let cache = tempfile::tempdir().unwrap();
        let folder = KAFKA.folder(cache.path());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(".complete"), "").unwrap();
        let told = |text: &str| panic!("nothing is to be fetched: {text}");
        assert_eq!(KAFKA.fetch(cache.path(), told).unwrap(), folder);
        let newer = Set { pom: "<project/>", ..KAFKA };
        assert_ne!(newer.folder(cache.path()), folder);
    }
}
