//! What a client says about itself when it connects, whatever it connects over.

use std::fmt;

use anser_types::DeviceId;

use crate::capability::{Generation, Platform, TransportKind};
use crate::frame::{ConnAckForm, Connect};
use crate::websocket::ConnectQuery;

/// How a page says that it is no browser, where it names no platform.
const UNIAPP: &str = "uniapp";

/// A sign-in that was asked for; nothing of it is checked yet. `Debug` leaves the token out.
#[derive(Clone, PartialEq, Eq)]
pub struct SignIn {
    /// What it came over.
    pub transport: TransportKind,
    /// The app, as text.
    pub app_key: String,
    /// The token, as it came.
    pub token: String,
    /// The installation, where the client names one that is fit to be an id.
    pub device_id: Option<DeviceId>,
    /// The kind of terminal.
    pub platform: Platform,
    /// What the client calls its version.
    pub sdk_version: String,
    /// What to expect of it.
    pub generation: &'static Generation,
    /// How its CONNACK is written.
    pub connack_form: ConnAckForm,
}

impl SignIn {
    /// What the URL of a WebSocket says.
    pub fn from_query(query: ConnectQuery) -> Self {
        let named = if query.platform.is_empty() && query.api_version == UNIAPP { UNIAPP } else { &query.platform };
        Self {
            transport: TransportKind::WebSocket,
            device_id: DeviceId::new(&query.device_id).ok(),
            platform: Platform::parse(named),
            generation: Generation::find(TransportKind::WebSocket, &query.sdk_version),
            connack_form: ConnAckForm::of_version(query.protocol_version.unwrap_or_default()),
            app_key: query.app_key,
            token: query.token,
            sdk_version: query.sdk_version,
        }
    }

    /// What a CONNECT says. Its will is `{platform}-{device}-{sdk version}`; a client without a will is a desktop.
    pub fn from_connect(connect: Connect) -> Self {
        let (platform, rest) = connect.will.split_once('-').unwrap_or((&connect.will, ""));
        let platform = if platform.is_empty() { Platform::Pc } else { Platform::parse(platform) };
        let sdk_version = rest.rsplit('-').next().unwrap_or_default().to_owned();
        Self {
            transport: TransportKind::Tcp,
            device_id: DeviceId::new(&connect.client_id).ok(),
            platform,
            generation: Generation::find(TransportKind::Tcp, &sdk_version),
            connack_form: ConnAckForm::of_version(connect.version),
            app_key: connect.app_key,
            token: connect.token,
            sdk_version,
        }
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("transport", &self.transport)
            .field("app_key", &self.app_key)
            .field("device_id", &self.device_id)
            .field("platform", &self.platform)
            .field("sdk_version", &self.sdk_version)
            .field("generation", &self.generation.name)
            .field("connack_form", &self.connack_form)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(will: &str) -> Connect {
        Connect { version: 4, client_id: "d1".into(), will: will.into(), app_key: "k".into(), token: "secret@".into() }
    }

    #[test]
    fn a_will_names_platform_and_version() {
        let sign_in = SignIn::from_connect(connect("PC--5.46.1"));
        assert_eq!((sign_in.platform, sign_in.sdk_version.as_str()), (Platform::Pc, "5.46.1"));
        assert_eq!((sign_in.generation.name, sign_in.connack_form), ("native", ConnAckForm::V4));
        let sign_in = SignIn::from_connect(connect("iOS-judge-phone-5.0.0"));
        assert_eq!((sign_in.platform, sign_in.sdk_version.as_str()), (Platform::Ios, "5.0.0"));
        assert_eq!(SignIn::from_connect(connect("Android--anser/1")).generation.name, "anser");
        assert_eq!(SignIn::from_connect(connect("")).platform, Platform::Pc);
    }

    #[test]
    fn a_page_that_names_no_platform_is_web() {
        let query = |text| SignIn::from_query(ConnectQuery::parse(text));
        assert_eq!(query("apiVer=normal").platform, Platform::Web);
        assert_eq!(query("apiVer=browser%7CChrome%7C1").platform, Platform::Web);
        assert_eq!(query("apiVer=uniapp").platform, Platform::parse("uniapp"));
        assert_eq!(query("platform=Android").platform, Platform::Android);
        assert_eq!(query("deviceId=&protocolVer=4").connack_form, ConnAckForm::V4);
        assert_eq!(query("deviceId=").device_id, None);
    }

    #[test]
    fn debug_text_holds_no_token() {
        assert!(!format!("{:?}", connect("")).contains("secret"));
        assert!(!format!("{:?}", SignIn::from_connect(connect(""))).contains("secret"));
    }
}
