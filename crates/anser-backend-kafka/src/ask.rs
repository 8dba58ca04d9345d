//! Questions about what a topic holds: where its partitions begin and end, and what lies at a time. All of them block.
//!
//! A partition that has no leader when the library looks, as after a broker stood still, is to it one that does not exist, and
//! it does not look again until its metadata are too old, which takes minutes. So it is told to look. A client that gave no answer for as
//! long as a question may take is not asked again, and another one begins anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anser_backend::{Bounds, ReadError};
use anser_types::{Offset, PartitionId, Timestamp};
use parking_lot::Mutex;
use rdkafka::Offset as Place;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};
use tokio::time::Instant;

use crate::error::{Trouble, has_no_leader, is_passing, unavailable};
use crate::pool::{Client, Lent, Pool};

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a question may take on which nothing depends, as it can be asked otherwise.
const SOON: Duration = Duration::from_millis(500);

/// Asks about one topic. May be used by many threads at a time.
pub(crate) struct Asker {
    topic: String,
    client: Mutex<Arc<Lent>>,
    timeout: Duration,
}

impl Asker {
    pub(crate) fn new(topic: String, client: Lent, timeout: Duration) -> Self {
        Self { topic, client: Mutex::new(Arc::new(client)), timeout }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The topic's partitions and their copies. Never lets a broker make the topic.
    pub(crate) fn metadata(&self) -> KafkaResult<Metadata> {
        let client = self.client();
        hear_complaints(&client);
        client.fetch_metadata(Some(&self.topic), self.timeout)
    }

    /// What one partition holds.
    pub(crate) fn bounds(&self, pool: &Pool, partition: PartitionId) -> Result<Bounds, ReadError> {
        // In two questions of ours. The library's own one for both sends two requests, and if one of them fails just then, it takes the
        // answer to the other for both: a log that is all there would begin where it ends, or end where it begins.
        let of = |places: BTreeMap<PartitionId, Offset>| {
            places.get(&partition).copied().ok_or_else(|| unavailable(Trouble::NoOffset))
        };
        let start = of(self.starts(pool, &[partition])?)?;
        let end = of(self.ends(pool, &[partition])?)?;
        Ok(Bounds { start, end })
    }

    /// Where many partitions begin, in one question.
    pub(crate) fn starts(
        &self,
        pool: &Pool,
        partitions: &[PartitionId],
    ) -> Result<BTreeMap<PartitionId, Offset>, ReadError> {
        self.places(pool, partitions, Place::Beginning)
    }

    /// Where many partitions end, in one question.
    pub(crate) fn ends(
        &self,
        pool: &Pool,
        partitions: &[PartitionId],
    ) -> Result<BTreeMap<PartitionId, Offset>, ReadError> {
        self.places(pool, partitions, Place::End)
    }

    /// The first offset at or after a time; `None` if all is older.
    pub(crate) fn at(&self, pool: &Pool, partition: PartitionId, time: Timestamp) -> Result<Option<Offset>, ReadError> {
        Ok(self.answers(pool, &[partition], at(time))?.remove(&partition).flatten())
    }

    /// What many partitions hold, in one question for where they begin and one for where they end, each asked once. Fails if a single
    /// partition, or a single broker, does not answer soon.
    pub(crate) fn bounds_of(&self, partitions: &[PartitionId]) -> Result<BTreeMap<PartitionId, Bounds>, ReadError> {
        let starts = known(self.ask_once(partitions, Place::Beginning)?)?;
        let ends = known(self.ask_once(partitions, Place::End)?)?;
        let bounds = |(partition, start)| {
            let end = ends.get(&partition).copied().ok_or_else(|| unavailable(Trouble::NoOffset))?;
            Ok((partition, Bounds { start, end }))
        };
        starts.into_iter().map(bounds).collect()
    }

    /// As [`at`](Self::at), of many partitions in one question, which is asked once.
    pub(crate) fn all_at(
        &self,
        partitions: &[PartitionId],
        time: Timestamp,
    ) -> Result<BTreeMap<PartitionId, Option<Offset>>, ReadError> {
        self.ask_once(partitions, at(time))
    }

    fn ask_once(
        &self,
        partitions: &[PartitionId],
        wanted: Place,
    ) -> Result<BTreeMap<PartitionId, Option<Offset>>, ReadError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let client = self.client();
        hear_complaints(&client);
        let answered = self.ask_places(&client, partitions, wanted, self.timeout.min(SOON)).map_err(unavailable)?;
        offsets(answered)
    }

    fn places(
        &self,
        pool: &Pool,
        partitions: &[PartitionId],
        place: Place,
    ) -> Result<BTreeMap<PartitionId, Offset>, ReadError> {
        known(self.answers(pool, partitions, place)?)
    }

    fn answers(
        &self,
        pool: &Pool,
        partitions: &[PartitionId],
        wanted: Place,
    ) -> Result<BTreeMap<PartitionId, Option<Offset>>, ReadError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        offsets(self.persist(pool, |client, timeout| self.ask_places(client, partitions, wanted, timeout))?)
    }

    /// The library takes what is looked for in the field that later holds the answer.
    fn ask_places(
        &self,
        client: &Client,
        partitions: &[PartitionId],
        wanted: Place,
        timeout: Duration,
    ) -> KafkaResult<Vec<(PartitionId, Place)>> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition_offset(&self.topic, i32::from(partition.0), wanted)?;
        }
        let list = client.offsets_for_times(list, timeout)?;
        let answer = |element: &TopicPartitionListElem<'_>| {
            element.error()?;
            let partition = u8::try_from(element.partition()).unwrap_or(u8::MAX);
            Ok((PartitionId(partition), element.offset()))
        };
        list.elements().iter().map(answer).collect()
    }

    /// Asks until there is an answer, an error that stays, or no time left. Leaders move, and a new topic is known before it
    /// can be asked about.
    fn persist<T>(&self, pool: &Pool, ask: impl Fn(&Client, Duration) -> KafkaResult<T>) -> Result<T, ReadError> {
        let client = self.client();
        let deadline = Instant::now() + self.timeout;
        loop {
            hear_complaints(&client);
            let error = match ask(&client, deadline.saturating_duration_since(Instant::now())) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // No time for another try. The library counts in milliseconds, and may be back a little early.
            if Instant::now() + PAUSE >= deadline {
                self.replace(pool, &client);
                return Err(unavailable(error));
            }
            if !is_passing(&error) {
                return Err(unavailable(error));
            }
            // A pause in which complaints are heard.
            drop(client.poll(PAUSE));
            if has_no_leader(&error) {
                let left = deadline.saturating_duration_since(Instant::now());
                // If the brokers do not answer this either, the next look at the time sees it.
                drop(client.fetch_metadata(Some(&self.topic), left));
            }
        }
    }

    fn client(&self) -> Arc<Lent> {
        Arc::clone(&self.client.lock())
    }

    /// Lets another client answer from now on, unless somebody else who waited for `silent` has seen to it. If there is none to be
    /// had, this one stays.
    fn replace(&self, pool: &Pool, silent: &Arc<Lent>) {
        let mut current = self.client.lock();
        if !Arc::ptr_eq(&current, silent) {
            return;
        }
        if let Ok(next) = pool.take_instead() {
            silent.is_broken();
            *current = Arc::new(next);
        }
    }
}

/// A client's log lines and errors wait until somebody takes them.
fn hear_complaints(client: &Client) {
    while client.poll(Duration::ZERO).is_some() {}
}

/// How the library is asked for the first offset at or after a time.
fn at(time: Timestamp) -> Place {
    Place::Offset(i64::try_from(time.0).unwrap_or(i64::MAX))
}

/// What the library has answered: `None` where all is older than what was asked for.
fn offsets(answered: Vec<(PartitionId, Place)>) -> Result<BTreeMap<PartitionId, Option<Offset>>, ReadError> {
    let offset = |(partition, place)| match place {
        Place::Offset(raw) => Ok((partition, Some(Offset(u64::try_from(raw).unwrap_or(0))))),
        Place::End => Ok((partition, None)),
        _ => Err(unavailable(Trouble::NoOffset)),
    };
    answered.into_iter().map(offset).collect()
}

/// The answers where none may be missing.
fn known(answers: BTreeMap<PartitionId, Option<Offset>>) -> Result<BTreeMap<PartitionId, Offset>, ReadError> {
    let known = |(partition, offset): (PartitionId, Option<Offset>)| {
        offset.map(|offset| (partition, offset)).ok_or_else(|| unavailable(Trouble::NoOffset))
    };
    answers.into_iter().map(known).collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::client::reading;
    use crate::config::KafkaConfig;
    use crate::health::Health;

    const TIMEOUT: Duration = Duration::from_millis(100);

    /// For brokers that are not there, with a pool of one client.
    fn nobody() -> (Pool, Asker) {
        asking("127.0.0.1:1".to_owned(), TIMEOUT)
    }

    /// For a topic of so many partitions, with a pool of one client.
    fn somebody(partitions: i32) -> (MockCluster<'static, DefaultProducerContext>, Pool, Asker) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("topic", partitions, 1).unwrap();
        let (pool, asker) = asking(cluster.bootstrap_servers(), Duration::from_secs(60));
        (cluster, pool, asker)
    }

    fn asking(brokers: String, timeout: Duration) -> (Pool, Asker) {
        let config = KafkaConfig { brokers, ..KafkaConfig::default() };
        let pool = Pool::start(reading(&config), 1, 1, Arc::new(Health::new(1))).unwrap();
        let asker = Asker::new("topic".to_owned(), pool.take().unwrap(), timeout);
        (pool, asker)
    }

    #[test]
    fn a_client_that_gave_no_answer_in_time_is_not_asked_again() {
        let (pool, asker) = nobody();
        let first = asker.client();
        assert!(asker.bounds(&pool, PartitionId(0)).is_err());
        let second = asker.client();
        assert!(!Arc::ptr_eq(&first, &second));
        // Whoever waited for the first as well does not drive out the second.
        asker.replace(&pool, &first);
        assert!(Arc::ptr_eq(&second, &asker.client()));
    }

    #[test]
    fn without_another_client_the_old_one_stays() {
        let (pool, asker) = nobody();
        // Held, so that it does not end and make room.
        let _first = asker.client();
        assert!(asker.ends(&pool, &[PartitionId(0)]).is_err());
        let second = asker.client();
        assert!(asker.ends(&pool, &[PartitionId(0)]).is_err());
        assert!(Arc::ptr_eq(&second, &asker.client()));
    }

    #[test]
    fn a_leader_that_comes_back_is_found() {
        let (cluster, pool, asker) = somebody(1);
        let before = asker.client();
        assert_eq!(asker.bounds(&pool, PartitionId(0)).unwrap(), Bounds::default());
        cluster.partition_leader("topic", 0, None).unwrap();
        assert_eq!(asker.metadata().unwrap().topics()[0].partitions()[0].leader(), -1);
        cluster.partition_leader("topic", 0, Some(1)).unwrap();
        assert_eq!(asker.bounds(&pool, PartitionId(0)).unwrap(), Bounds::default());
        assert_eq!(asker.ends(&pool, &[PartitionId(0)]).unwrap()[&PartitionId(0)], Offset(0));
        assert!(Arc::ptr_eq(&before, &asker.client()));
    }

    #[test]
    fn what_is_asked_together_is_not_waited_for_when_one_of_them_has_no_leader() {
        let (cluster, pool, asker) = somebody(3);
        let all = [PartitionId(2), PartitionId(0), PartitionId(1)];
        assert_eq!(asker.bounds_of(&all).unwrap(), all.map(|partition| (partition, Bounds::default())).into());
        assert_eq!(asker.all_at(&all, Timestamp(1)).unwrap(), all.map(|partition| (partition, None)).into());
        cluster.partition_leader("topic", 1, None).unwrap();
        assert_eq!(asker.metadata().unwrap().topics()[0].partitions()[1].leader(), -1);
        let error = asker.bounds_of(&all).unwrap_err();
        assert!(matches!(error, ReadError::Unavailable(_)), "{error:?}");
        assert_eq!(asker.bounds(&pool, PartitionId(0)).unwrap(), Bounds::default());
    }

    #[test]
    fn never_skip_silently_a_question_that_fails_says_nothing_of_where_a_partition_begins_or_ends() {
        let (cluster, pool, asker) = somebody(1);
        let brokers = cluster.bootstrap_servers();
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
        for _ in 0..3 {
            producer.send(BaseRecord::<(), [u8]>::to("topic").partition(0).payload(b"x")).unwrap();
        }
        producer.flush(Duration::from_secs(60)).unwrap();
        let held = Bounds { start: Offset(0), end: Offset(3) };
        assert_eq!(asker.bounds_of(&[PartitionId(0)]).unwrap(), [(PartitionId(0), held)].into());
        let (fine, moved) =
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
        for errors in [&[][..], &[moved], &[fine, moved], &[moved, fine, moved], &[moved, moved]] {
            cluster.request_errors(RDKafkaApiKey::ListOffsets, errors);
            assert_eq!(asker.bounds(&pool, PartitionId(0)).unwrap(), held, "{errors:?}");
            cluster.clear_request_errors(RDKafkaApiKey::ListOffsets);
            cluster.request_errors(RDKafkaApiKey::ListOffsets, errors);
            if let Ok(bounds) = asker.bounds_of(&[PartitionId(0)]) {
                assert_eq!(bounds, [(PartitionId(0), held)].into(), "{errors:?}");
            }
            cluster.clear_request_errors(RDKafkaApiKey::ListOffsets);
        }
    }
}
