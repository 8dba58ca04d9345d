//! The suites of the two ports, with Redis laid out in each of the ways there are.

use std::sync::Arc;

use anser_backend::conformance::mailbox::MailboxFixture;
use anser_backend::conformance::membership::MembershipFixture;
use anser_backend::{BoxFuture, Mailbox, Membership};
use anser_backend_redis::{RedisConfig, RedisMailbox, RedisMembership, RedisMode, RedisStore};
use parking_lot::Mutex;

use crate::server::{self, Server};
use crate::{config, mailbox};

/// The primary it is on, a key, for how many milliseconds it is kept, and its bytes.
type SavedKey = (String, Vec<u8>, i64, Vec<u8>);

/// What an account has to be allowed, as `docs/redis.md` says it.
const RIGHTS: [&str; 13] = [
    "+eval",
    "+evalsha",
    "+info",
    "+role",
    "+time",
    "+config|get",
    "+get",
    "+set",
    "+del",
    "+unlink",
    "+pexpire",
    "+@hash",
    "+@sortedset",
];

/// The account that is allowed no more than it has to be.
pub(crate) fn with_few_rights_only(config: RedisConfig) -> RedisConfig {
    RedisConfig { username: "anser".to_owned(), password: "secret".to_owned(), ..config }
}

/// Lets that account in. A server that is started again has forgotten it.
pub(crate) fn grant_few_rights(server: &Server, config: &RedisConfig) {
    let (password, keys) = (format!(">{}", config.password), format!("~{}*", config.prefix));
    let mut account = vec!["ACL", "SETUSER", &config.username, "reset", "on", &password, &keys];
    account.extend(RIGHTS);
    server.ask::<()>(&account);
}

/// Keys with a prefix of their own in the Redis that was given, or in one that was started.
pub(crate) struct Fixture {
    _server: Option<Server>,
    pub(crate) config: RedisConfig,
    /// Where the keys are.
    primaries: Vec<String>,
    mailbox: Mutex<Option<Arc<RedisMailbox>>>,
    membership: Mutex<Option<Arc<RedisMembership>>>,
    saved: Mutex<Vec<SavedKey>>,
}

impl Fixture {
    /// On one server.
    pub(crate) fn find() -> Option<Self> {
        let given = server::given(server::ADDRESS).pop();
        let own = if given.is_none() && server::can_start() { Some(Server::start()) } else { None };
        let address = given.or_else(|| own.as_ref().map(Server::address))?;
        Some(Self::on(own, config(vec![address.clone()]), vec![address]))
    }

    /// On a server of its own, with an account that has no more rights than `docs/redis.md` asks for.
    fn with_few_rights() -> Option<Self> {
        let own = server::can_start().then(Server::start)?;
        let address = own.address();
        let config = with_few_rights_only(config(vec![address.clone()]));
        grant_few_rights(&own, &config);
        Some(Self::on(Some(own), config, vec![address]))
    }

    /// On a primary with a replica; they have to be given.
    fn with_a_replica() -> Option<Self> {
        let (primary, replica) = (server::wanted(server::ADDRESS)?, server::wanted(server::REPLICA)?);
        let config = RedisConfig { mode: RedisMode::Replicated, ..config([replica, primary.clone()].concat()) };
        Some(Self::on(None, config, primary))
    }

    /// On a Redis Cluster without replicas; it has to be given.
    fn on_a_cluster() -> Option<Self> {
        let primaries = server::wanted(server::CLUSTER)?;
        let config = RedisConfig { mode: RedisMode::Cluster, ..config(primaries.clone()) };
        Some(Self::on(None, config, primaries))
    }

    fn on(own: Option<Server>, config: RedisConfig, primaries: Vec<String>) -> Self {
        let (mailbox, membership, saved) = (Mutex::new(None), Mutex::new(None), Mutex::new(Vec::new()));
        Self { _server: own, config, primaries, mailbox, membership, saved }
    }

    /// Each key, by the connection to where it is.
    fn for_each_key(&self, mut what: impl FnMut(&str, &mut redis::Connection, Vec<u8>)) {
        let pattern = format!("{}*", self.config.prefix);
        for primary in &self.primaries {
            let mut connection = server::connection(primary);
            let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg(&pattern).query(&mut connection).unwrap();
            keys.into_iter().for_each(|key| what(primary, &mut connection, key));
        }
    }

    fn remove_all(&self) {
        self.for_each_key(|_, connection, key| redis::cmd("DEL").arg(key).exec(connection).unwrap());
    }

    /// What a restart changes beside the data.
    fn live_anew(&self) {
        self.for_each_key(|_, connection, key| {
            if key.ends_with(b"}") {
                redis::cmd("HSET").arg(key).arg("life").arg("of before").exec(connection).unwrap();
            }
        });
    }

    async fn open(&self) -> Arc<dyn Mailbox> {
        let opened = mailbox(&self.config).await;
        *self.mailbox.lock() = Some(Arc::clone(&opened));
        opened
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if self._server.is_none() {
            self.remove_all();
        }
    }
}

impl MailboxFixture for Fixture {
    fn create(&self) -> BoxFuture<'_, Arc<dyn Mailbox>> {
        Box::pin(self.open())
    }

    fn settle(&self, old: Arc<dyn Mailbox>) -> BoxFuture<'_, Arc<dyn Mailbox>> {
        drop(old);
        Box::pin(async move {
            let mailbox = self.mailbox.lock().take().unwrap();
            mailbox.settle().await.unwrap();
            self.open().await
        })
    }

    fn ask_rebuild(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            mailbox(&self.config).await.ask_rebuild().await.unwrap();
            true
        })
    }

    fn save(&self) -> BoxFuture<'_, ()> {
        self.for_each_key(|primary, connection, key| {
            let left: i64 = redis::cmd("PTTL").arg(&key).query(connection).unwrap();
            let value = redis::cmd("DUMP").arg(&key).query(connection).unwrap();
            self.saved.lock().push((primary.to_owned(), key, left.max(0), value));
        });
        Box::pin(std::future::ready(()))
    }

    fn roll_back(&self) -> BoxFuture<'_, bool> {
        self.remove_all();
        for (primary, key, left, value) in &*self.saved.lock() {
            let mut connection = server::connection(primary);
            redis::cmd("RESTORE").arg(key).arg(left).arg(value).exec(&mut connection).unwrap();
        }
        self.live_anew();
        Box::pin(std::future::ready(true))
    }
}

impl MembershipFixture for Fixture {
    fn create(&self) -> BoxFuture<'_, Arc<dyn Membership>> {
        Box::pin(async move {
            let opened = RedisStore::connect(self.config.clone()).await.unwrap().membership();
            *self.membership.lock() = Some(Arc::clone(&opened));
            opened as Arc<dyn Membership>
        })
    }

    fn outlast_leases(&self) -> BoxFuture<'_, ()> {
        let membership = self.membership.lock().clone().unwrap();
        Box::pin(async move {
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
            while !membership.members().await.unwrap().is_empty() {
                tick.tick().await;
            }
        })
    }
}

mod on_one {
    use super::*;
    anser_backend::mailbox_suite!(maybe Fixture::find());
    anser_backend::membership_suite!(maybe Fixture::find());
}

mod with_few_rights {
    use super::*;
    anser_backend::mailbox_suite!(maybe Fixture::with_few_rights());
    anser_backend::membership_suite!(maybe Fixture::with_few_rights());
}

mod with_a_replica {
    use super::*;
    anser_backend::mailbox_suite!(maybe Fixture::with_a_replica());
    anser_backend::membership_suite!(maybe Fixture::with_a_replica());
}

mod on_a_cluster {
    use super::*;
    anser_backend::mailbox_suite!(maybe Fixture::on_a_cluster());
    anser_backend::membership_suite!(maybe Fixture::on_a_cluster());
}
