//! Questions about what a topic holds: where its partitions begin and end, and what lies at a time. All of them block.

use std::collections::BTreeMap;
use std::time::Duration;

use anser_backend::{Bounds, ReadError};
use anser_types::{Offset, PartitionId, Timestamp};
use rdkafka::Offset as Place;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};
use tokio::time::Instant;

use crate::error::{Trouble, is_passing, unavailable};
use crate::pool::Lent;

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks about one topic. May be used by many threads at a time.
pub(crate) struct Asker {
    topic: String,
    client: Lent,
    timeout: Duration,
}

impl Asker {
    pub(crate) const fn new(topic: String, client: Lent, timeout: Duration) -> Self {
        Self { topic, client, timeout }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The topic's partitions and their copies. Never lets a broker make the topic.
    pub(crate) fn metadata(&self) -> KafkaResult<Metadata> {
        self.hear_complaints();
        self.client.fetch_metadata(Some(&self.topic), self.timeout)
    }

    /// What one partition holds.
    pub(crate) fn bounds(&self, partition: PartitionId) -> Result<Bounds, ReadError> {
        let ask = |timeout| self.client.fetch_watermarks(&self.topic, i32::from(partition.0), timeout);
        let (low, high) = self.persist(ask)?;
        Ok(Bounds { start: offset(low), end: offset(high) })
    }

    /// Where many partitions begin, in one question.
    pub(crate) fn starts(&self, partitions: &[PartitionId]) -> Result<BTreeMap<PartitionId, Offset>, ReadError> {
        self.places(partitions, Place::Beginning)
    }

    /// Where many partitions end, in one question.
    pub(crate) fn ends(&self, partitions: &[PartitionId]) -> Result<BTreeMap<PartitionId, Offset>, ReadError> {
        self.places(partitions, Place::End)
    }

    /// The first offset at or after a time; `None` if all is older.
    pub(crate) fn at(&self, partition: PartitionId, time: Timestamp) -> Result<Option<Offset>, ReadError> {
        let time = Place::Offset(i64::try_from(time.0).unwrap_or(i64::MAX));
        Ok(self.answers(&[partition], time)?.remove(&partition).flatten())
    }

    fn places(&self, partitions: &[PartitionId], place: Place) -> Result<BTreeMap<PartitionId, Offset>, ReadError> {
        let answers = self.answers(partitions, place)?;
        Ok(answers.into_iter().map(|(partition, offset)| (partition, offset.unwrap_or_default())).collect())
    }

    fn answers(
        &self,
        partitions: &[PartitionId],
        wanted: Place,
    ) -> Result<BTreeMap<PartitionId, Option<Offset>>, ReadError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let answered = self.persist(|timeout| self.ask_places(partitions, wanted, timeout))?;
        let mut answers = BTreeMap::new();
        for (partition, place) in answered {
            let offset = match place {
                Place::Offset(offset) => Some(self::offset(offset)),
                Place::End => None,
                _ => return Err(unavailable(Trouble::NoOffset)),
            };
            answers.insert(partition, offset);
        }
        Ok(answers)
    }

    /// The library takes what is looked for in the field that later holds the answer.
    fn ask_places(
        &self,
        partitions: &[PartitionId],
        wanted: Place,
        timeout: Duration,
    ) -> KafkaResult<Vec<(PartitionId, Place)>> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition_offset(&self.topic, i32::from(partition.0), wanted)?;
        }
        let list = self.client.offsets_for_times(list, timeout)?;
        let answer = |element: &TopicPartitionListElem<'_>| {
            element.error()?;
            let partition = u8::try_from(element.partition()).unwrap_or(u8::MAX);
            Ok((PartitionId(partition), element.offset()))
        };
        list.elements().iter().map(answer).collect()
    }

    /// Asks until there is an answer, an error that stays, or no time left. Leaders move, and a new topic is known before it
    /// can be asked about.
    fn persist<T>(&self, ask: impl Fn(Duration) -> KafkaResult<T>) -> Result<T, ReadError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            self.hear_complaints();
            match ask(deadline.saturating_duration_since(Instant::now())) {
                Ok(answer) => return Ok(answer),
                Err(error) if is_passing(&error) && Instant::now() < deadline => {
                    // A pause in which complaints are heard.
                    drop(self.client.poll(PAUSE));
                }
                Err(error) => return Err(unavailable(error)),
            }
        }
    }

    /// The client's log lines and errors wait until somebody takes them.
    fn hear_complaints(&self) {
        while self.client.poll(Duration::ZERO).is_some() {}
    }
}

fn offset(raw: i64) -> Offset {
    Offset(u64::try_from(raw).unwrap_or(0))
}
