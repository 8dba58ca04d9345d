//! The codes with which a connection is refused (CONNACK) or ended (DISCONNECT).
//!
//! The codes of single requests are [`anser_types::Status`].

/// The status of a CONNACK: how a sign-in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConnAckStatus {
    /// Signed in.
    Accepted = 0,
    /// The protocol version is not spoken here.
    ProtocolVersion = 1,
    /// There is no such app.
    AppRejected = 2,
    /// Not now; try again later.
    Unavailable = 3,
    /// The token is not one of this app, or it was tampered with.
    TokenIncorrect = 4,
    /// The sign-in is not allowed.
    NotAuthorised = 5,
    /// Another node serves this user: ask navigation again. Clients do so by themselves.
    Redirect = 6,
    /// The package or bundle id is not allowed.
    PackageRejected = 7,
    /// The app is blocked or deleted.
    AppBlocked = 8,
    /// The user is blocked.
    UserBlocked = 9,
    /// The token has expired or was revoked.
    TokenExpired = 10,
    /// The device is not acceptable.
    DeviceError = 11,
    /// The host name of the page is not allowed.
    HostRejected = 12,
    /// A terminal of the same kind is online, and it keeps its place.
    OtherOnline = 13,
    /// More terminals or users than the licence allows.
    LicenceExceeded = 14,
    /// The app lives in another cluster.
    WrongCluster = 15,
    /// The app's own authentication failed.
    AppAuthFailed = 16,
    /// The token was for one sign-in only, and that was used.
    TokenUsed = 17,
    /// Terminals of this platform are not allowed.
    PlatformRejected = 18,
    /// The account was cancelled.
    AccountCancelled = 19,
    /// The licence has expired.
    LicenceExpired = 20,
}

impl ConnAckStatus {
    /// Every status, in the order of the codes.
    pub const ALL: [Self; 21] = [
        Self::Accepted,
        Self::ProtocolVersion,
        Self::AppRejected,
        Self::Unavailable,
        Self::TokenIncorrect,
        Self::NotAuthorised,
        Self::Redirect,
        Self::PackageRejected,
        Self::AppBlocked,
        Self::UserBlocked,
        Self::TokenExpired,
        Self::DeviceError,
        Self::HostRejected,
        Self::OtherOnline,
        Self::LicenceExceeded,
        Self::WrongCluster,
        Self::AppAuthFailed,
        Self::TokenUsed,
        Self::PlatformRejected,
        Self::AccountCancelled,
        Self::LicenceExpired,
    ];

    /// The status with this code, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Its code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The nearest status that a client knows whose highest known code is `highest`.
    #[must_use]
    pub const fn understood_up_to(self, highest: u8) -> Self {
        if self.code() <= highest { self } else { Self::NotAuthorised }
    }
}

/// The status of a DISCONNECT: why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DisconnectStatus {
    /// As [`Self::Redirect`], for clients of the first generations.
    LegacyRedirect = 0,
    /// Another terminal of the same kind signed in.
    Kicked = 1,
    /// The user was blocked, as the first generations know it.
    LegacyBlocked = 2,
    /// The server closes; some SDKs take it as final.
    ServerClose = 3,
    /// The user signed out. This is also what a client sends.
    Logout = 4,
    /// The user was blocked.
    Blocked = 5,
    /// Another node is to serve this user: ask navigation again. Clients do so by themselves.
    Redirect = 6,
    /// The token expired or was revoked.
    TokenExpired = 7,
    /// The client broke the protocol.
    ProtocolError = 8,
    /// The account was cancelled.
    AccountCancelled = 9,
}

impl DisconnectStatus {
    /// Every status, in the order of the codes.
    pub const ALL: [Self; 10] = [
        Self::LegacyRedirect,
        Self::Kicked,
        Self::LegacyBlocked,
        Self::ServerClose,
        Self::Logout,
        Self::Blocked,
        Self::Redirect,
        Self::TokenExpired,
        Self::ProtocolError,
        Self::AccountCancelled,
    ];

    /// The status with this code, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Its code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The nearest status that a client knows whose highest known code is `highest`.
    #[must_use]
    pub const fn understood_up_to(self, highest: u8) -> Self {
        if self.code() <= highest {
            return self;
        }
        match self {
            Self::Redirect => Self::LegacyRedirect,
            Self::Blocked => Self::LegacyBlocked,
            _ => Self::ServerClose,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_names_its_status_and_no_other_code_names_one() {
        for code in 0..=u8::MAX {
            assert_eq!(ConnAckStatus::from_code(code).map(ConnAckStatus::code), (code <= 20).then_some(code));
            assert_eq!(DisconnectStatus::from_code(code).map(DisconnectStatus::code), (code <= 9).then_some(code));
        }
    }

    #[test]
    fn old_clients_are_told_in_codes_that_they_know() {
        assert_eq!(ConnAckStatus::AccountCancelled.understood_up_to(12), ConnAckStatus::NotAuthorised);
        assert_eq!(ConnAckStatus::TokenExpired.understood_up_to(12), ConnAckStatus::TokenExpired);
        assert_eq!(DisconnectStatus::Redirect.understood_up_to(5), DisconnectStatus::LegacyRedirect);
        assert_eq!(DisconnectStatus::TokenExpired.understood_up_to(5), DisconnectStatus::ServerClose);
        assert_eq!(DisconnectStatus::Kicked.understood_up_to(5), DisconnectStatus::Kicked);
        assert_eq!(DisconnectStatus::Redirect.understood_up_to(9), DisconnectStatus::Redirect);
    }
}
