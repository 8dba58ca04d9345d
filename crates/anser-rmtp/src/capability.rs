//! What each generation of client software does and understands: one table, chosen from once when a terminal signs in.
//!
//! The machines ask the row; nothing asks for a version. A new generation is a new row.

use std::fmt;

/// How our own client names itself: as its `sdkVer` over WebSocket, and as the last part of its will over TCP.
pub const ANSER_SDK_VERSION: &str = "anser/1";

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// WebSocket, secured or not: web pages, and whatever is built like one.
    WebSocket,
    /// TCP, secured or not: the native stack.
    Tcp,
}

/// What a client does with a message that is pushed to it directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DirectPush {
    /// It shows the message and moves its cursor over it, so that no pull brings it again: direct pushes pay.
    MovesCursor,
    /// Its cursor stays, so that a pull brings the message a second time, or it takes the push for a mere notice: it is
    /// notified instead.
    NotUsed,
}

/// How a client moves its cursor when a pull is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CursorRule {
    /// To the sync time of the answer.
    AnswerSyncTime,
    /// To the largest sent time of the messages that it received; an empty answer moves nothing. The position that it
    /// confirmed has to be remembered with the connection.
    ItemTime,
}

/// A row: what to expect of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// What to call it in logs and metrics.
    pub name: &'static str,
    /// Whether it names its messages, so that a resend is recognisable. A name that is there counts in any case.
    pub client_id: bool,
    /// What it does with a direct push.
    pub direct: DirectPush,
    /// Whether it takes the copy of a message that another terminal of its user sent.
    pub copy: bool,
    /// How it moves its cursor.
    pub cursor: CursorRule,
    /// The highest CONNACK status that it knows; it may throw at a higher one.
    pub connack_code_max: u8,
    /// The highest DISCONNECT status that it knows.
    pub disconnect_code_max: u8,
}

/// The most careful row: only what every client takes. For whoever is not known.
const UNKNOWN: Generation = Generation {
    name: "unknown",
    client_id: false,
    direct: DirectPush::NotUsed,
    copy: false,
    cursor: CursorRule::AnswerSyncTime,
    connack_code_max: 12,
    disconnect_code_max: 5,
};
const ANSER: Generation = Generation {
    name: "anser",
    client_id: true,
    direct: DirectPush::MovesCursor,
    copy: true,
    connack_code_max: 20,
    disconnect_code_max: 9,
    ..UNKNOWN
};
const NATIVE: Generation = Generation {
    name: "native",
    client_id: true,
    cursor: CursorRule::ItemTime,
    connack_code_max: 20,
    disconnect_code_max: 9,
    ..UNKNOWN
};
const WEB_LEGACY: Generation = Generation { name: "web-2.5", direct: DirectPush::MovesCursor, ..UNKNOWN };
const WEB_DIRECT: Generation = Generation {
    name: "web-2.9-to-5.6",
    direct: DirectPush::MovesCursor,
    connack_code_max: 20,
    disconnect_code_max: 9,
    ..UNKNOWN
};
const WEB_DIRECT_ID: Generation = Generation { name: "web-5.7", client_id: true, ..WEB_DIRECT };
const WEB_NOTIFY: Generation =
    Generation { name: "web-5.8-or-later", client_id: true, connack_code_max: 20, disconnect_code_max: 9, ..UNKNOWN };

type Version = [u16; 3];

enum Matches {
    Own,
    Over(TransportKind),
    /// A web SDK from a version on, below another one.
    Web(Version, Version),
}

const NO_END: Version = [u16::MAX; 3];

/// The first row that matches counts. Between 5.0 and 5.2, and between 5.7.3 and 5.28, no version was tried: notify is safe
/// with all.
const TABLE: [(Matches, &Generation); 7] = [
    (Matches::Own, &ANSER),
    (Matches::Over(TransportKind::Tcp), &NATIVE),
    (Matches::Web([2, 0, 0], [2, 9, 0]), &WEB_LEGACY),
    (Matches::Web([2, 9, 0], [5, 0, 0]), &WEB_DIRECT),
    (Matches::Web([5, 2, 0], [5, 7, 0]), &WEB_DIRECT),
    (Matches::Web([5, 7, 0], [5, 7, 4]), &WEB_DIRECT_ID),
    (Matches::Web([5, 7, 4], NO_END), &WEB_NOTIFY),
];

impl Generation {
    /// The row of a client that names this SDK version over this transport. The most careful row if none matches.
    pub fn find(transport: TransportKind, sdk_version: &str) -> &'static Self {
        let version = parse_version(sdk_version);
        let matches = |rule: &Matches| match rule {
            Matches::Own => sdk_version == ANSER_SDK_VERSION,
            Matches::Over(kind) => transport == *kind,
            Matches::Web(from, below) => {
                transport == TransportKind::WebSocket
                    && version.is_some_and(|version| *from <= version && version < *below)
            }
        };
        TABLE.iter().find(|(rule, _)| matches(rule)).map_or(&UNKNOWN, |(_, row)| row)
    }
}

/// The numbers that a version text begins with; `None` if it begins with none. Whatever follows them is ignored.
fn parse_version(text: &str) -> Option<Version> {
    let mut version = [0; 3];
    for (place, part) in text.splitn(3, '.').enumerate() {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        match part.get(..digits).and_then(|digits| digits.parse().ok()) {
            Some(number) => version[place] = number,
            None if place == 0 => return None,
            None => break,
        }
        if digits < part.len() {
            break;
        }
    }
    Some(version)
}

/// What kind of terminal a user signed in with. Terminals of the same kind replace each other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Platform {
    /// A web page. Whoever names no platform is one.
    Web,
    /// A desktop application.
    Pc,
    /// iOS.
    Ios,
    /// Android.
    Android,
    /// HarmonyOS.
    Harmony,
    /// A program inside another app.
    MiniProgram,
    /// Something else, by its name: lower case, at most 32 bytes.
    Other(Box<str>),
}

const NAME_BYTES_MAX: usize = 32;

impl Platform {
    /// The platform that a client names; any case.
    pub fn parse(name: &str) -> Self {
        let name = name.trim();
        let name = name.get(..name.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "" | "web" | "websocket" | "browser" => Self::Web,
            "pc" | "electron" | "windows" | "mac" | "macos" | "linux" => Self::Pc,
            "ios" | "iphone" | "ipad" => Self::Ios,
            "android" => Self::Android,
            "harmony" | "harmonyos" | "ohos" => Self::Harmony,
            "miniprogram" | "mini" => Self::MiniProgram,
            _ => Self::Other(name.into_boxed_str()),
        }
    }

    /// Its name: what webhooks and the server API call it, in lower case for those that are not known.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Web => "Web",
            Self::Pc => "PC",
            Self::Ios => "iOS",
            Self::Android => "Android",
            Self::Harmony => "HarmonyOS",
            Self::MiniProgram => "MiniProgram",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_has_its_row() {
        use TransportKind::{Tcp, WebSocket};
        for (transport, version, name) in [
            (WebSocket, "2.5.3", "web-2.5"),
            (WebSocket, "2.9.2", "web-2.9-to-5.6"),
            (WebSocket, "4.2.6", "web-2.9-to-5.6"),
            (WebSocket, "4.6.4", "web-2.9-to-5.6"),
            (WebSocket, "5.0.0", "unknown"),
            (WebSocket, "5.2.0", "web-2.9-to-5.6"),
            (WebSocket, "5.3.4", "web-2.9-to-5.6"),
            (WebSocket, "5.7.3", "web-5.7"),
            (WebSocket, "5.7.3-alpha.1", "web-5.7"),
            (WebSocket, "5.8.0", "web-5.8-or-later"),
            (WebSocket, "5.28.0", "web-5.8-or-later"),
            (WebSocket, "5.38.0", "web-5.8-or-later"),
            (WebSocket, "6", "web-5.8-or-later"),
            (WebSocket, "anser/1", "anser"),
            (WebSocket, "anser/2", "unknown"),
            (WebSocket, "", "unknown"),
            (WebSocket, "1.0", "unknown"),
            (WebSocket, "99999999999.1", "unknown"),
            (WebSocket, "undefined", "unknown"),
            (Tcp, "5.46.1", "native"),
            (Tcp, "5.0.0", "native"),
            (Tcp, "", "native"),
            (Tcp, "anser/1", "anser"),
        ] {
            assert_eq!(Generation::find(transport, version).name, name, "{transport:?} {version}");
        }
    }

    #[test]
    fn whoever_is_not_known_gets_only_what_every_client_takes() {
        let row = Generation::find(TransportKind::WebSocket, "?");
        assert_eq!((row.direct, row.copy), (DirectPush::NotUsed, false));
        assert!(TABLE.iter().all(|(_, known)| known.disconnect_code_max >= row.disconnect_code_max));
    }

    #[test]
    fn direct_pushes_go_only_where_they_move_the_cursor() {
        for version in ["5.28.0", "5.38.0", "7.0.0"] {
            assert_eq!(Generation::find(TransportKind::WebSocket, version).direct, DirectPush::NotUsed);
        }
        let native = Generation::find(TransportKind::Tcp, "5.46.1");
        assert_eq!((native.direct, native.cursor), (DirectPush::NotUsed, CursorRule::ItemTime));
    }

    #[test]
    fn platforms_are_the_same_in_any_spelling() {
        assert_eq!(Platform::parse(""), Platform::Web);
        assert_eq!(Platform::parse("IOS"), Platform::parse("iOS"));
        assert_eq!(Platform::parse("PC"), Platform::Pc);
        assert_ne!(Platform::parse("fridge"), Platform::parse("car"));
        assert_eq!(Platform::parse(&"é".repeat(100)).as_str().len(), 32);
    }
}
