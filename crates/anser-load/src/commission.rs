//! Getting ready: users, tokens, addresses.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anser_client::admin::{Admin, AdminError};
use anser_client::terminal::{TerminalConfig, TlsTrust};
use anser_client::{HttpUrl, LocalClock, Navigation, Transport};
use anser_core::session::SessionConfig;
use anser_rmtp::TransportKind;
use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::args::Common;

/// Callers of the server API at a time.
const CALLERS: usize = 8;
/// For how long a server that may have just started is asked again, and how often.
const STARTING: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Connections from one source address; there are some 28,000 ports for outgoing connections.
const PER_SOURCE: usize = 20_000;

/// What all terminals of a run have in common.
#[derive(Debug)]
pub(crate) struct Commission {
    common: Common,
    url: HttpUrl,
    clock: LocalClock,
    trust: Option<TlsTrust>,
    pub(crate) run_name: String,
}

impl Commission {
    pub(crate) fn new(common: &Common) -> anyhow::Result<Self> {
        let url: HttpUrl = common.http.parse()?;
        let trust = match (Transport::from(common.transport), &common.ca) {
            (Transport::Tls, Some(file)) => {
                Some(TlsTrust::roots(file).with_context(|| format!("failed to read {}", file.display()))?)
            }
            (Transport::Tls, None) => Some(TlsTrust::anybody()),
            _ => None,
        };
        let run_name = match &common.run_name {
            Some(name) => name.clone(),
            None => new_run_name()?,
        };
        Ok(Self { common: common.clone(), url, clock: LocalClock::start(), trust, run_name })
    }

    pub(crate) const fn url(&self) -> &HttpUrl {
        &self.url
    }

    pub(crate) fn admin(&self) -> anyhow::Result<Admin> {
        Ok(Admin::new(&self.common.http, &self.common.app_key, &self.common.app_secret)?)
    }

    /// A name for a user of this run; no other run has it.
    pub(crate) fn user(&self, role: &str, number: usize) -> String {
        format!("load-{}-{role}{number}", self.run_name)
    }

    /// Tokens for these users, in their order.
    pub(crate) async fn tokens(&self, users: &[String]) -> anyhow::Result<Vec<String>> {
        let users: Arc<[String]> = users.into();
        let mut tasks = JoinSet::new();
        for caller in 0..CALLERS.min(users.len()) {
            let (mut admin, users) = (self.admin()?, Arc::clone(&users));
            tasks.spawn(async move {
                let mut tokens = Vec::new();
                for (place, user) in users.iter().enumerate().skip(caller).step_by(CALLERS) {
                    let token = token(&mut admin, user).await.with_context(|| format!("no token for {user}"))?;
                    tokens.push((place, token));
                }
                anyhow::Ok(tokens)
            });
        }
        let mut all = vec![String::new(); users.len()];
        while let Some(some) = tasks.join_next().await {
            for (place, token) in some?? {
                if let Some(slot) = all.get_mut(place) {
                    *slot = token;
                }
            }
        }
        Ok(all)
    }

    /// The addresses that navigation names for this token.
    pub(crate) async fn addresses(&self, token: &str) -> anyhow::Result<Vec<String>> {
        let navigation = Navigation::Http(self.url.clone());
        let transport = self.common.transport.into();
        let asked = navigation.addresses(&self.common.app_key, token, transport).await;
        asked.with_context(|| format!("navigation at {} names no {transport:?} address", self.url))
    }

    /// A terminal of a user. `number` tells terminals of one process apart.
    pub(crate) fn terminal(&self, token: &str, number: usize) -> anyhow::Result<TerminalConfig> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let seed = u64::from_be_bytes(seed);
        let mut session = SessionConfig::new(&self.common.app_key, token, TransportKind::Tcp, seed);
        session.device_id = format!("load-{}-{number}", self.run_name);
        session.unsettled_max = 1 << 20;
        session.reconnect_min_ms = 200;
        session.reconnect_max_ms = 2_000;
        session.refusal_pause_ms = 100;
        Ok(TerminalConfig {
            session,
            navigation: Navigation::Http(self.url.clone()),
            transport: self.common.transport.into(),
            source: None,
            trust: self.trust.clone(),
            clock: self.clock,
        })
    }

    /// The loopback address that the connection with this number comes from; `None` where the server is elsewhere, or one
    /// address has ports enough.
    pub(crate) fn source(&self, number: usize) -> Option<IpAddr> {
        let is_loopback = self.url.host().parse().is_ok_and(|host: Ipv4Addr| host.is_loopback());
        let block = u8::try_from(number / PER_SOURCE).ok().filter(|&block| block > 0 && block < 250)?;
        is_loopback.then(|| Ipv4Addr::new(127, 0, 0, block + 1).into())
    }
}

/// A name that tells runs apart.
pub(crate) fn new_run_name() -> anyhow::Result<String> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(format!("{:08x}", u32::from_be_bytes(random)))
}

/// A token for a user. Nodes that have just started say to try again while they take partitions over.
async fn token(admin: &mut Admin, user: &str) -> Result<String, AdminError> {
    let until = Instant::now() + STARTING;
    loop {
        match admin.token(user).await {
            Err(error) if error.is_retryable() && Instant::now() < until => sleep(ASK_AGAIN).await,
            answer => return answer,
        }
    }
}
