//! The endpoints and their paths.

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    GetToken,
    RefreshUser,
    UserInfo,
    CheckOnline,
    ExpireTokens,
    Block,
    Unblock,
    QueryBlocked,
    AddToBlacklist,
    RemoveFromBlacklist,
    QueryBlacklist,
    CreateGroup,
    JoinGroup,
    QuitGroup,
    DismissGroup,
    RefreshGroup,
    SyncGroups,
    QueryGroupUsers,
    QueryUserGroups,
    MuteMembers,
    UnmuteMembers,
    QueryMuted,
    PublishPrivate,
    PublishGroup,
    PublishSystem,
    Recall,
}

impl Endpoint {
    /// Every endpoint with its path.
    pub(crate) const ALL: [(&str, Self); 26] = [
        ("/user/getToken", Self::GetToken),
        ("/user/refresh", Self::RefreshUser),
        ("/user/info", Self::UserInfo),
        ("/user/checkOnline", Self::CheckOnline),
        ("/user/token/expire", Self::ExpireTokens),
        ("/user/block", Self::Block),
        ("/user/unblock", Self::Unblock),
        ("/user/block/query", Self::QueryBlocked),
        ("/user/blacklist/add", Self::AddToBlacklist),
        ("/user/blacklist/remove", Self::RemoveFromBlacklist),
        ("/user/blacklist/query", Self::QueryBlacklist),
        ("/group/create", Self::CreateGroup),
        ("/group/join", Self::JoinGroup),
        ("/group/quit", Self::QuitGroup),
        ("/group/dismiss", Self::DismissGroup),
        ("/group/refresh", Self::RefreshGroup),
        ("/group/sync", Self::SyncGroups),
        ("/group/user/query", Self::QueryGroupUsers),
        ("/user/group/query", Self::QueryUserGroups),
        ("/group/user/gag/add", Self::MuteMembers),
        ("/group/user/gag/rollback", Self::UnmuteMembers),
        ("/group/user/gag/list", Self::QueryMuted),
        ("/message/private/publish", Self::PublishPrivate),
        ("/message/group/publish", Self::PublishGroup),
        ("/message/system/publish", Self::PublishSystem),
        ("/message/recall", Self::Recall),
    ];

    /// Whether it sends messages.
    pub(crate) fn is_publish(self) -> bool {
        matches!(self, Self::PublishPrivate | Self::PublishGroup | Self::PublishSystem)
    }

    /// The endpoint at a path, which may end in `.json`.
    pub(crate) fn at(path: &str) -> Option<Self> {
        let path = path.strip_suffix(".json").unwrap_or(path);
        Self::ALL.iter().find(|(known, _)| *known == path).map(|(_, endpoint)| *endpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_endpoint_is_documented() {
        let page = include_str!("../../../docs/api.md");
        for (path, _) in Endpoint::ALL {
            assert!(page.contains(path), "docs/api.md says nothing about {path}");
        }
    }

    #[test]
    fn each_endpoint_is_at_one_path_with_and_without_json() {
        for (path, endpoint) in Endpoint::ALL {
            assert_eq!(Endpoint::at(path), Some(endpoint));
            assert_eq!(Endpoint::at(&format!("{path}.json")), Some(endpoint));
            assert_eq!(Endpoint::at(&format!("{path}/")), None);
        }
        assert_eq!(
            Endpoint::ALL.iter().map(|(_, endpoint)| endpoint).collect::<HashSet<_>>().len(),
            Endpoint::ALL.len()
        );
        assert_eq!(Endpoint::at("/chatroom/create.json"), None);
    }
}
