//! A member of the cluster, as its lease holds it: version, then the fields. A newer program may add fields at the end; this one
//! passes over them.

use anser_backend::{ClientAddresses, Member, Role, Roles, Spoken};
use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{NodeId, Timestamp};
use bytes::Bytes;

const VERSION: u8 = 1;
const DRAINING: u8 = 1;

/// The bit of each role. Stored: never changes.
const ROLES: [(u8, Role); 4] = [(1, Role::Navi), (2, Role::Api), (4, Role::Access), (8, Role::Message)];

pub(crate) fn write(member: &Member) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    let mut writer = Writer(&mut bytes);
    writer.u8(VERSION);
    writer.u64(member.id.0);
    writer.text(&member.name);
    writer.u8(ROLES.iter().filter(|(_, role)| member.roles.has(*role)).fold(0, |bits, (bit, _)| bits | bit));
    writer.text(&member.address);
    let clients = &member.clients;
    for address in [&clients.tcp, &clients.tls_tcp, &clients.ws, &clients.tls_ws] {
        writer.text(address);
    }
    writer.u8(if member.draining { DRAINING } else { 0 });
    writer.u64(member.connections);
    writer.u32(member.weight);
    writer.text(&member.version);
    writer.u64(member.clock.0);
    writer.text(&member.admin);
    writer.u32(member.speaks.oldest);
    writer.u32(member.speaks.newest);
    bytes
}

pub(crate) fn read(bytes: Bytes) -> Result<Member, DecodeError> {
    let mut reader = Reader(bytes);
    match reader.u8()? {
        VERSION => {}
        other => return Err(DecodeError::Version(other)),
    }
    let mut member = Member {
        id: NodeId(reader.u64()?),
        name: reader.string()?,
        roles: read_roles(reader.u8()?),
        address: reader.string()?,
        clients: ClientAddresses {
            tcp: reader.string()?,
            tls_tcp: reader.string()?,
            ws: reader.string()?,
            tls_ws: reader.string()?,
        },
        draining: reader.u8()? & DRAINING != 0,
        connections: reader.u64()?,
        weight: reader.u32()?,
        version: reader.string()?,
        clock: Timestamp(reader.u64()?),
        admin: String::new(),
        speaks: Spoken::FIRST,
    };
    // Programs of before these said no more.
    if !reader.0.is_empty() {
        member.admin = reader.string()?;
        member.speaks = Spoken { oldest: reader.u32()?, newest: reader.u32()? };
    }
    Ok(member)
}

/// A role that a newer program has is none that this one could ask for anything.
fn read_roles(bits: u8) -> Roles {
    ROLES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, role)| *role).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    fn member() -> Member {
        Member {
            id: NodeId(0x0102),
            name: "n".into(),
            roles: [Role::Navi, Role::Message].into_iter().collect(),
            address: "h:1".into(),
            clients: ClientAddresses { tcp: "t".into(), tls_tcp: "s".into(), ws: "w".into(), tls_ws: "x".into() },
            draining: true,
            connections: 3,
            weight: 4,
            version: "v".into(),
            clock: Timestamp(5),
            admin: "a".into(),
            speaks: Spoken { oldest: 6, newest: 7 },
        }
    }

    #[test]
    fn golden_member() {
        let golden = "01 0000000000000102 00016e 09 0003683a31 000174 000173 000177 000178 01 0000000000000003 00000004 \
                      000176 0000000000000005 000161 00000006 00000007";
        assert_eq!(hex(&write(&member())), golden.replace(' ', ""));
        assert_eq!(read(write(&member()).into()), Ok(member()));
    }

    #[test]
    fn what_a_newer_program_adds_is_passed_over() {
        let longer = [write(&member()), b"more".to_vec()].concat();
        assert_eq!(read(longer.into()), Ok(member()));
        assert_eq!(read_roles(0xf2), [Role::Api].into_iter().collect());
        assert_eq!(read(Bytes::from_static(b"\x02")), Err(DecodeError::Version(2)));
        let bytes = Bytes::from(write(&member()));
        let older = bytes.len() - 11;
        assert!((0..bytes.len()).all(|end| read(bytes.slice(..end)).is_err() || end == older));
        let member = Member { admin: String::new(), speaks: Spoken::FIRST, ..member() };
        assert_eq!(read(bytes.slice(..older)), Ok(member), "what an older program wrote");
    }
}
