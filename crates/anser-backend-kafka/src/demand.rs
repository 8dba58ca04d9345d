//! What a topic must be before records are entrusted to it, compared with what it is. Decides, and asks nobody.

use std::collections::BTreeMap;
use std::fmt;

use anser_types::PartitionCount;

use crate::config::{BATCH_BYTES_MAX, Durability, KafkaConfig};

/// What a cluster says about one of its topics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TopicFacts {
    pub(crate) partitions: usize,
    /// The number of copies of the partition that has the fewest.
    pub(crate) copies: usize,
    pub(crate) settings: BTreeMap<String, String>,
}

/// What must hold for one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Demands {
    pub(crate) topic: String,
    pub(crate) partitions: u16,
    pub(crate) durability: Durability,
    pub(crate) copies: u16,
    pub(crate) min_insync: u16,
    /// `None` for ever.
    pub(crate) retention_ms: Option<u64>,
}

impl Demands {
    /// For the topic that holds the records.
    pub(crate) fn of_log(config: &KafkaConfig, partitions: PartitionCount) -> Self {
        Self {
            topic: config.log_topic(),
            retention_ms: Some(config.retention_ms),
            ..Self::new(config, partitions.get())
        }
    }

    /// For the topic that holds the birth record.
    pub(crate) fn of_meta(config: &KafkaConfig) -> Self {
        Self { topic: config.meta_topic(), retention_ms: None, ..Self::new(config, 1) }
    }

    fn new(config: &KafkaConfig, partitions: u16) -> Self {
        let (copies, min_insync) = match config.durability {
            Durability::Replicated => (config.replication, config.min_insync_replicas),
            Durability::SingleBroker => (1, 1),
        };
        let durability = config.durability;
        Self { topic: String::new(), partitions, durability, copies, min_insync, retention_ms: None }
    }

    /// The settings with which the topic is made.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let retention = self.retention_ms.map_or_else(|| "-1".to_owned(), |ms| ms.to_string());
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", retention),
            ("retention.bytes", "-1".to_owned()),
            ("min.insync.replicas", self.min_insync.to_string()),
            ("unclean.leader.election.enable", "false".to_owned()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("max.message.bytes", BATCH_BYTES_MAX.to_string()),
        ]
    }

    /// Everything in which the topic falls short; empty if it will do.
    pub(crate) fn weaknesses(&self, facts: &TopicFacts) -> Vec<Weakness> {
        let mut found = Vec::new();
        if facts.partitions != usize::from(self.partitions) {
            found.push(self.weakness(
                "the number of partitions",
                facts.partitions,
                self.partitions.to_string(),
                Remedy::NewLog,
            ));
        }
        if facts.copies < usize::from(self.copies) {
            found.push(self.weakness(
                "the number of copies",
                facts.copies,
                format!("{} or more", self.copies),
                Remedy::Copies,
            ));
        }
        for (name, wanted) in self.settings() {
            let value = facts.settings.get(name).map_or("not told", String::as_str);
            if !self.fits(name, &wanted, value) {
                found.push(self.weakness(name, value, needed(name, &wanted), Remedy::Setting { name, wanted }));
            }
        }
        found
    }

    fn fits(&self, name: &str, wanted: &str, value: &str) -> bool {
        let enough = |unlimited: bool| match (value.parse::<i64>(), wanted.parse::<i64>()) {
            (Ok(-1), _) if unlimited => true,
            (Ok(value), Ok(wanted)) => wanted >= 0 && value >= wanted,
            _ => false,
        };
        match name {
            "retention.ms" | "retention.bytes" => enough(true),
            "max.message.bytes" => enough(false),
            "min.insync.replicas" => enough(false),
            "unclean.leader.election.enable" if self.durability == Durability::SingleBroker => true,
            _ => value == wanted,
        }
    }

    fn weakness(&self, what: &'static str, found: impl fmt::Display, needed: String, remedy: Remedy) -> Weakness {
        Weakness { topic: self.topic.clone(), what, found: found.to_string(), needed, remedy }
    }
}

fn needed(name: &str, wanted: &str) -> String {
    match name {
        "retention.ms" | "max.message.bytes" | "min.insync.replicas" if wanted != "-1" => format!("{wanted} or more"),
        _ => wanted.to_owned(),
    }
}

/// One thing in which a topic falls short. Shows as a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    topic: String,
    what: &'static str,
    found: String,
    needed: String,
    remedy: Remedy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Remedy {
    NewLog,
    Copies,
    Setting { name: &'static str, wanted: String },
}

impl Weakness {
    /// What falls short: a setting of the topic by its name, or its partitions or copies.
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// Whether `durability = "single-broker"` does without it.
    fn is_about_copies(&self) -> bool {
        matches!(
            &self.remedy,
            Remedy::Copies | Remedy::Setting { name: "min.insync.replicas" | "unclean.leader.election.enable", .. }
        )
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, what, found, needed, remedy } = self;
        write!(f, "{what} of topic {topic} is {found} and must be {needed}: ")?;
        match remedy {
            Remedy::NewLog => write!(
                f,
                "it is fixed at birth, so point to the right log, or make a new one under another cluster.kafka.prefix"
            )?,
            Remedy::Copies => write!(f, "add copies with kafka-reassign-partitions.sh")?,
            Remedy::Setting { name, wanted } => write!(
                f,
                "run kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {name}={wanted}"
            )?,
        }
        if self.is_about_copies() {
            write!(
                f,
                ", or say cluster.kafka.durability = \"single-broker\" if losing records with a broker is acceptable"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(demands: &Demands) -> TopicFacts {
        TopicFacts {
            partitions: usize::from(demands.partitions),
            copies: usize::from(demands.copies),
            settings: demands.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    fn demands(durability: Durability) -> Demands {
        Demands::of_log(&KafkaConfig { durability, ..KafkaConfig::default() }, PartitionCount::EMBEDDED)
    }

    fn with(demands: &Demands, name: &str, value: &str) -> Vec<Weakness> {
        let mut facts = facts(demands);
        facts.settings.insert(name.to_owned(), value.to_owned());
        demands.weaknesses(&facts)
    }

    #[test]
    fn a_topic_as_it_was_made_will_do() {
        for durability in [Durability::Replicated, Durability::SingleBroker] {
            let config = KafkaConfig { durability, ..KafkaConfig::default() };
            for demands in [demands(durability), Demands::of_meta(&config)] {
                assert_eq!(demands.weaknesses(&facts(&demands)), []);
            }
        }
    }

    #[test]
    fn every_setting_that_is_worse_is_found() {
        let demands = demands(Durability::Replicated);
        let worse = [
            ("cleanup.policy", "compact"),
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "691199999"),
            ("retention.bytes", "1000000000"),
            ("min.insync.replicas", "1"),
            ("unclean.leader.election.enable", "true"),
            ("message.timestamp.type", "CreateTime"),
            ("max.message.bytes", "1048588"),
        ];
        for (name, value) in worse {
            let found = with(&demands, name, value);
            assert!(matches!(&found[..], [one] if one.what() == name), "{name}={value}: {found:?}");
        }
        assert_eq!(demands.weaknesses(&TopicFacts::default()).len(), 9, "what is not told is not taken for granted");
    }

    #[test]
    fn a_setting_that_is_better_will_do() {
        let demands = demands(Durability::Replicated);
        for (name, value) in [
            ("retention.ms", "-1"),
            ("retention.ms", "691200000"),
            ("min.insync.replicas", "3"),
            ("max.message.bytes", "99999999"),
        ] {
            assert_eq!(with(&demands, name, value), [], "{name}={value}");
        }
    }

    #[test]
    fn few_copies_are_refused_unless_one_was_asked_for() {
        let strict = demands(Durability::Replicated);
        let one_copy = TopicFacts { copies: 1, ..facts(&strict) };
        let said = strict.weaknesses(&one_copy)[0].to_string();
        assert_eq!(
            said,
            "the number of copies of topic anser.log is 1 and must be 3 or more: add copies with \
             kafka-reassign-partitions.sh, or say cluster.kafka.durability = \"single-broker\" if losing records with a broker is acceptable"
        );
        let relaxed = demands(Durability::SingleBroker);
        assert_eq!(relaxed.weaknesses(&TopicFacts { copies: 1, ..facts(&relaxed) }), []);
        assert_eq!(with(&relaxed, "unclean.leader.election.enable", "true"), []);
        assert_eq!(with(&relaxed, "cleanup.policy", "compact").len(), 1, "compaction loses records on any cluster");
    }

    #[test]
    fn the_number_of_partitions_is_never_a_matter_of_taste() {
        for durability in [Durability::Replicated, Durability::SingleBroker] {
            let demands = demands(durability);
            for partitions in [15, 17] {
                let found = demands.weaknesses(&TopicFacts { partitions, ..facts(&demands) });
                assert!(matches!(&found[..], [one] if one.what() == "the number of partitions"), "{found:?}");
            }
        }
    }
}
