//! The suites of the two ports.

use std::sync::Arc;

use anser_backend::conformance::mailbox::MailboxFixture;
use anser_backend::conformance::membership::MembershipFixture;
use anser_backend::{BoxFuture, Mailbox, Membership};
use anser_backend_redis::{RedisConfig, RedisMailbox, RedisMembership, RedisStore};
use parking_lot::Mutex;

use crate::server::{self, Server};
use crate::{config, mailbox};

/// A key, for how many milliseconds it is kept, and its bytes.
type SavedKey = (Vec<u8>, i64, Vec<u8>);

/// Keys with a prefix of their own in the Redis that was given, or in one that was started.
pub(crate) struct Fixture {
    _server: Option<Server>,
    pub(crate) config: RedisConfig,
    mailbox: Mutex<Option<Arc<RedisMailbox>>>,
    membership: Mutex<Option<Arc<RedisMembership>>>,
    saved: Mutex<Vec<SavedKey>>,
}

impl Fixture {
    pub(crate) fn find() -> Option<Self> {
        let given = server::given();
        let own = if given.is_none() && server::can_start() { Some(Server::start()) } else { None };
        let address = given.or_else(|| own.as_ref().map(Server::address))?;
        Some(Self {
            _server: own,
            config: config(vec![address]),
            mailbox: Mutex::new(None),
            membership: Mutex::new(None),
            saved: Mutex::new(Vec::new()),
        })
    }

    fn connection(&self) -> redis::Connection {
        server::connection(&self.config.addresses[0])
    }

    fn all_keys(&self) -> Vec<Vec<u8>> {
        let pattern = format!("{}*", self.config.prefix);
        redis::cmd("KEYS").arg(pattern).query(&mut self.connection()).unwrap()
    }

    fn remove_all(&self) {
        let keys = self.all_keys();
        if !keys.is_empty() {
            redis::cmd("DEL").arg(keys).exec(&mut self.connection()).unwrap();
        }
    }

    /// What a restart changes beside the data.
    fn live_anew(&self) {
        for key in self.all_keys().iter().filter(|key| key.ends_with(b"}")) {
            redis::cmd("HDEL").arg(key).arg("life").exec(&mut self.connection()).unwrap();
        }
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
        let mut connection = self.connection();
        let mut saved = self.saved.lock();
        for key in self.all_keys() {
            let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
            let value = redis::cmd("DUMP").arg(&key).query(&mut connection).unwrap();
            saved.push((key, left.max(0), value));
        }
        Box::pin(std::future::ready(()))
    }

    fn roll_back(&self) -> BoxFuture<'_, bool> {
        self.remove_all();
        let mut connection = self.connection();
        for (key, left, value) in &*self.saved.lock() {
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

mod of_mailboxes {
    use super::*;
    anser_backend::mailbox_suite!(maybe Fixture::find());
}

mod of_memberships {
    use super::*;
    anser_backend::membership_suite!(maybe Fixture::find());
}
