//! Certificates between nodes.

use std::path::Path;

use anser_peer::{PeerConfig, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::world::{Plan, World, check_once_and_in_order, config, key, until};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate that one authority signed, for a node that trusts another.
fn files(folder: &Path, name: &str, signed_by: &Authority, trusts: &Authority) -> TlsFiles {
    let pair = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["node.anser".to_owned()]).unwrap().signed_by(&pair, signed_by).unwrap();
    let write = |what: &str, pem: String| {
        let path = folder.join(format!("{name}-{what}.pem"));
        std::fs::write(&path, pem).unwrap();
        path
    };
    TlsFiles {
        authority: write("ca", trusts.pem()),
        certificate: write("cert", certificate.pem()),
        key: write("key", pair.serialize_pem()),
        server_name: "node.anser".to_owned(),
    }
}

fn plan(plan: Plan, tls: TlsFiles) -> Plan {
    plan.with(PeerConfig { tls: Some(tls), ..config() })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_in_only_nodes_with_a_certificate_of_the_authority_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (authority(), authority());
    let world = World::new();
    let message = world.node(plan(Plan::message("m1"), files(folder.path(), "m1", &ours, &ours))).await;
    let access = world.node(plan(Plan::access("a1"), files(folder.path(), "a1", &ours, &ours))).await;
    // Signed by somebody else, and believing us; signed by us, and believing somebody else; without any.
    let forged = world.node(plan(Plan::access("a2"), files(folder.path(), "a2", &theirs, &ours))).await;
    let misled = world.node(plan(Plan::access("a3"), files(folder.path(), "a3", &ours, &theirs))).await;
    let bare = world.node(Plan::access("a4")).await;
    access.reaches(&[&message]).await;
    message.reaches(&[&access]).await;
    let connection = access.ids.next();
    access.publish(connection, "alice", 1..=100);
    until("all are settled", || access.settled().len() >= 100).await;
    check_once_and_in_order(&world.log, &access.settled(), connection, 100);
    for other in [&forged, &misled, &bare] {
        // By now it has been tried, and suspicion passes nobody over who is the only one.
        until("it knows of the node", || other.peer.routes().message_node(&key("alice")).is_some()).await;
        assert!(!other.peer.reaches(message.id) && !message.peer.reaches(other.id));
    }
}

#[test]
fn files_that_are_none_are_refused_with_their_name() {
    let missing = std::path::PathBuf::from("/nowhere/ca.pem");
    let tls =
        TlsFiles { authority: missing.clone(), certificate: missing.clone(), key: missing, server_name: String::new() };
    let world = World::new();
    let deps = anser_peer::PeerDeps {
        name: "n1".to_owned(),
        ids: std::sync::Arc::new(anser_cluster::ConnectionIds::new(anser_types::NodeId::drawn(1))),
        cluster: crate::world::CLUSTER,
        partitions: anser_types::PartitionCount::EMBEDDED,
        terminals: None,
        membership: world.membership,
        clock: anser_runtime::Clock::system(),
        tasks: anser_runtime::Tasks::new(anser_runtime::Drain::new()),
    };
    let error = anser_peer::PeerNode::new(PeerConfig { tls: Some(tls), ..config() }, deps).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("/nowhere/ca.pem"), "{cause}");
}
