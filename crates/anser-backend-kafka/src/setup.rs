//! Making a log, and opening one that is there: topics, birth record, and whether the cluster gives what the log demands.

use std::sync::Arc;
use std::time::Duration;

use anser_backend::ReadError;
use anser_types::{LogId, Offset, PartitionCount, PartitionId};
use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use tokio::time::Instant;

use crate::birth::Birth;
use crate::client::{Complaints, appending, asking};
use crate::config::KafkaConfig;
use crate::demand::{Demands, TopicFacts};
use crate::error::{SetupError, unavailable};
use crate::health::Health;
use crate::lane::Lane;
use crate::reader::read_one;
use crate::source::Source;

/// How long a change of topics may take: brokers make hundreds of partitions in seconds.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a broker may take to hear of a topic that others know already. Each question may go to another one.
const HEARSAY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to look whether a new topic can be used.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const ONE_PARTITION: PartitionCount = match PartitionCount::new(1) {
    Some(count) => count,
    None => panic!("1 is a valid number of partitions"),
};

const META_PARTITION: PartitionId = PartitionId(0);

/// Makes the log that `config` describes: two topics and the birth record. If it is there already, with as many
/// partitions, nothing is changed. If making it was interrupted, this finishes it.
///
/// Timelines keep entries for `offline_retention_ms`; the log must keep records for longer.
pub async fn init(config: &KafkaConfig, offline_retention_ms: u64) -> Result<Birth, SetupError> {
    make(config, offline_retention_ms).await.map_err(|error| error.at(&config.brokers))
}

async fn make(config: &KafkaConfig, offline_retention_ms: u64) -> Result<Birth, SetupError> {
    config.check(offline_retention_ms).map_err(SetupError::Config)?;
    let partitions = PartitionCount::new(config.partitions)
        .ok_or_else(|| SetupError::Config("partitions must be 1 to 256".to_owned()))?;
    let setup = Setup::new(config, partitions, Arc::new(Health::new(usize::MAX)))?;
    setup.make_topic(&setup.meta, &Demands::of_meta(config)).await?;
    let born = setup.birth_if_any().await?;
    let demands = Demands::of_log(config, partitions);
    match born {
        Some(birth) => check_same(config, birth, partitions)?,
        None => setup.make_topic(&setup.log, &demands).await?,
    }
    setup.check(config, partitions).await?;
    match born {
        Some(birth) => Ok(birth),
        None => setup.be_born(config, partitions).await,
    }
}

/// Reads the birth record of the log that `config` names, and checks that the cluster gives what it demands.
pub(crate) async fn find(config: &KafkaConfig, offline_retention_ms: u64) -> Result<Birth, SetupError> {
    config.check(offline_retention_ms).map_err(SetupError::Config)?;
    let setup = Setup::new(config, ONE_PARTITION, Arc::new(Health::new(usize::MAX)))?;
    let not_made = || SetupError::NotMade { meta_topic: config.meta_topic() };
    // Without partitions the topic is not there.
    if setup.facts_of_made(&setup.meta).await?.partitions == 0 {
        return Err(not_made());
    }
    let birth = setup.birth_if_any().await?.ok_or_else(not_made)?;
    setup.check(config, birth.partitions).await?;
    Ok(birth)
}

fn check_same(config: &KafkaConfig, birth: Birth, partitions: PartitionCount) -> Result<(), SetupError> {
    if birth.partitions == partitions {
        return Ok(());
    }
    Err(SetupError::Taken(format!(
        "topic {} says that a log with {} partitions was made there, and {} were asked for: the number is fixed at birth, so \
         set cluster.kafka.partitions = {}, or make another log under another cluster.kafka.prefix",
        config.meta_topic(),
        birth.partitions.get(),
        partitions.get(),
        birth.partitions.get(),
    )))
}

/// What making and opening work with.
struct Setup {
    admin: Arc<AdminClient<Complaints>>,
    options: AdminOptions,
    meta: Arc<Source>,
    log: Arc<Source>,
    health: Arc<Health>,
}

impl Setup {
    fn new(config: &KafkaConfig, partitions: PartitionCount, health: Arc<Health>) -> Result<Self, SetupError> {
        let source = |topic, partitions| {
            let source = Source::new(topic, partitions, config, Arc::clone(&health));
            source.map(Arc::new).map_err(read_failed("start clients of the brokers"))
        };
        let (meta, log) = (source(config.meta_topic(), ONE_PARTITION)?, source(config.log_topic(), partitions)?);
        let admin = AdminClient::from_config_and_context(&asking(config), Complaints(Arc::clone(&health)))
            .map_err(SetupError::unavailable("start an admin client of the brokers"))?;
        let options = AdminOptions::new().request_timeout(Some(CHANGE_TIMEOUT)).operation_timeout(Some(CHANGE_TIMEOUT));
        Ok(Self { admin: Arc::new(admin), options, meta, log, health })
    }

    /// Makes a topic if it is not there, and waits until all its partitions can be used.
    async fn make_topic(&self, source: &Arc<Source>, demands: &Demands) -> Result<(), SetupError> {
        if self.facts(source).await?.is_some() {
            return Ok(());
        }
        let settings = demands.settings();
        let copies = TopicReplication::Fixed(i32::from(demands.copies));
        let mut topic = NewTopic::new(&demands.topic, i32::from(demands.partitions), copies);
        for (name, value) in &settings {
            topic = topic.set(name, value);
        }
        let made = self.admin.create_topics([&topic], &self.options).await;
        for result in made.map_err(SetupError::unavailable("make a topic"))? {
            match result {
                // Somebody else makes the log at the same time: the first birth record decides.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, RDKafkaErrorCode::InvalidReplicationFactor)) => {
                    return Err(SetupError::TooFewBrokers { topic, copies: demands.copies });
                }
                Err((_, code)) => return Err(SetupError::unavailable("make a topic")(KafkaError::AdminOp(code))),
            }
        }
        self.wait_for(source, usize::from(demands.partitions)).await
    }

    async fn wait_for(&self, source: &Arc<Source>, partitions: usize) -> Result<(), SetupError> {
        let deadline = Instant::now() + CHANGE_TIMEOUT;
        loop {
            let metadata = metadata(source).await?;
            let led = |metadata: &Metadata| {
                metadata.topics().iter().flat_map(|topic| topic.partitions()).filter(|part| part.leader() >= 0).count()
            };
            if led(&metadata) >= partitions {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let late = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
                return Err(SetupError::unavailable("wait for a new topic to be ready")(late));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the cluster says about a topic; `None` if there is none. Without any settings, the broker that was asked about those
    /// has not heard of the topic yet, or does not tell us.
    async fn facts(&self, source: &Arc<Source>) -> Result<Option<TopicFacts>, SetupError> {
        let metadata = metadata(source).await?;
        let Some(topic) = metadata.topics().first().filter(|topic| topic.name() == source.ask.topic()) else {
            return Ok(None);
        };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => return Ok(None),
            Some(code) => return Err(SetupError::unavailable("describe a topic")(KafkaError::MetadataFetch(code))),
        }
        let partitions = topic.partitions();
        let mut facts = TopicFacts {
            partitions: partitions.len(),
            copies: partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0),
            ..TopicFacts::default()
        };
        let asked = ResourceSpecifier::Topic(topic.name());
        let described = self.admin.describe_configs([&asked], &self.options).await;
        for resource in described.map_err(SetupError::unavailable("describe a topic"))? {
            // The library passes over the error of a single topic, and shows it without settings instead.
            let resource =
                resource.map_err(|code| SetupError::unavailable("describe a topic")(KafkaError::AdminOp(code)))?;
            let settings = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            facts.settings.extend(settings);
        }
        Ok(Some(facts))
    }

    /// What the cluster says about a topic that was made, as soon as the broker that is asked has heard of it.
    async fn facts_of_made(&self, source: &Arc<Source>) -> Result<TopicFacts, SetupError> {
        let deadline = Instant::now() + HEARSAY_TIMEOUT;
        loop {
            let facts = self.facts(source).await?.unwrap_or_default();
            if !facts.settings.is_empty() || Instant::now() >= deadline {
                return Ok(facts);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Refuses topics that fall short.
    async fn check(&self, config: &KafkaConfig, partitions: PartitionCount) -> Result<(), SetupError> {
        let mut weaknesses = Vec::new();
        for (source, demands) in
            [(&self.meta, Demands::of_meta(config)), (&self.log, Demands::of_log(config, partitions))]
        {
            let facts = self.facts_of_made(source).await?;
            weaknesses.extend(demands.weaknesses(&facts));
        }
        if weaknesses.is_empty() { Ok(()) } else { Err(SetupError::Weak(weaknesses)) }
    }

    /// The birth record, if there is any record.
    async fn birth_if_any(&self) -> Result<Option<Birth>, SetupError> {
        let meta = Arc::clone(&self.meta);
        let read = self.meta.blocking(move || read_one(&meta, META_PARTITION, Offset::START)).await;
        let Some(bytes) = read.map_err(read_failed("read the birth record"))? else {
            return Ok(None);
        };
        let unreadable = |source| SetupError::Birth { meta_topic: self.meta.ask.topic().to_owned(), source };
        Birth::decode(&bytes).map(Some).map_err(unreadable)
    }

    /// Writes the birth record, unless somebody else was quicker: the first record of the topic counts.
    async fn be_born(&self, config: &KafkaConfig, partitions: PartitionCount) -> Result<Birth, SetupError> {
        self.check_unused(partitions).await?;
        let log = LogId(getrandom::u64().map_err(|error| SetupError::NoRandom(error.to_string()))?);
        let record = Bytes::from(Birth { log, partitions }.encode());
        let doing = "write the birth record";
        let lane =
            Lane::start(config.meta_topic(), appending(config), config.stall_timeout_ms, Arc::clone(&self.health))
                .map_err(SetupError::unavailable(doing))?;
        lane.ready_or_late().await;
        let failed = |source: anser_backend::AppendError| SetupError::Unavailable {
            brokers: String::new(),
            doing,
            source: source.into(),
        };
        let answer = lane.append(META_PARTITION, &[record]).map_err(failed)?;
        if let Ok(Err(error)) = answer.await {
            return Err(failed(error));
        }
        let birth = self.birth_if_any().await?;
        let birth = birth.ok_or_else(|| SetupError::NotMade { meta_topic: config.meta_topic() })?;
        check_same(config, birth, partitions).map(|()| birth)
    }

    /// A log without a birth record must not have been used. Brokers that have only just made it may not know yet which of them
    /// leads which partition.
    async fn check_unused(&self, partitions: PartitionCount) -> Result<(), SetupError> {
        let all: Vec<PartitionId> = partitions.all().collect();
        let deadline = Instant::now() + CHANGE_TIMEOUT;
        let ends = loop {
            let (log, all) = (Arc::clone(&self.log), all.clone());
            match self.log.blocking(move || log.ask.ends(&log.pool, &all)).await {
                Err(ReadError::Unavailable(_)) if Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
                ends => break ends.map_err(read_failed("ask whether the log is empty"))?,
            }
        };
        if ends.values().all(|end| *end == Offset::START) {
            return Ok(());
        }
        let (topic, meta) = (self.log.ask.topic(), self.meta.ask.topic());
        Err(SetupError::Taken(format!(
            "topic {topic} holds or held records, and topic {meta} does not say of which log: it belongs to something else, or \
             the record in {meta} was lost; make a new log under another cluster.kafka.prefix"
        )))
    }
}

impl Drop for Setup {
    /// Ending an admin client blocks.
    fn drop(&mut self) {
        let admin = Arc::clone(&self.admin);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(admin)));
        }
    }
}

async fn metadata(source: &Arc<Source>) -> Result<Metadata, SetupError> {
    let asked = Arc::clone(source);
    let told = source.blocking(move || asked.ask.metadata().map_err(unavailable)).await;
    told.map_err(read_failed("ask the brokers about a topic"))
}

fn read_failed(doing: &'static str) -> impl Fn(ReadError) -> SetupError {
    move |error| match error {
        ReadError::Unavailable(source) => SetupError::Unavailable { brokers: String::new(), doing, source },
        other => SetupError::Unavailable { brokers: String::new(), doing, source: other.into() },
    }
}
