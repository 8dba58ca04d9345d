//! From frames to their messages on the wire, and back. The only place that knows both.

mod answers;
mod calls;
mod words;

use std::sync::Arc;
use std::time::Duration;

use anser_cluster::{Arrival, Claims, Deliver, Forward, Newcomer, Publish, ServerPublish, Settled, SignOut};
use anser_rmtp::Platform;
use anser_types::{
    AppKey, Claim, ConnectionId, LogId, NodeId, Offset, PartitionId, Position, Timestamp, UserId, UserKey,
};

use super::proto::{self, Kind};
use super::{Frame, Hello, WireError};
use words::{
    Drafted, need, outcome_from, outcome_to, read_forwarded, record_of, refusal_from, user_key, user_to,
    write_forwarded,
};

pub(super) fn to_wire(frame: &Frame) -> proto::Frame {
    let kind = match frame {
        Frame::Hello(hello) => Kind::Hello(hello_to(hello)),
        Frame::Publishes { attempt, publishes } => Kind::Publishes(proto::Publishes {
            attempt: *attempt,
            drafts: publishes.iter().map(|publish| Drafted::of_publish(publish).into_wire()).collect(),
        }),
        Frame::Arrive(arrival) => Kind::Arrive(arrival_to(arrival)),
        Frame::Moved { user, head } => Kind::Moved(proto::Moved { user: user_to(user), head: head.0 }),
        Frame::SettingsChanged { user, time, by } => {
            Kind::SettingsChanged(proto::SettingsChanged { user: user_to(user), time: time.0, by: by.0 })
        }
        Frame::SignOut { user, why } => {
            let tokens_from = match why {
                SignOut::Blocked => None,
                SignOut::TokensVoid { before } => Some(before.0),
            };
            Kind::SignOut(proto::SignOut { user: user_to(user), tokens_from })
        }
        Frame::GivesWay(newcomer) => Kind::GivesWay(newcomer_to(newcomer)),
        Frame::Forwards(forwards) => Kind::Forwards(proto::Forwards {
            forwards: forwards
                .iter()
                .map(|forward| proto::Forward {
                    id: forward.id,
                    draft: Some(Drafted::of_forward(forward).into_wire()),
                    after: forward.after,
                    oldest: forward.oldest,
                })
                .collect(),
        }),
        Frame::LetGo(partitions) => Kind::LetGo(proto::LetGo {
            partitions: partitions.iter().map(|partition| u32::from(partition.0)).collect(),
        }),
        Frame::Call { id, wait, request } => Kind::Call(proto::Call {
            id: *id,
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            request: Some(calls::to_wire(request)),
        }),
        Frame::Refused { reason } => Kind::Refused(proto::Refused { reason: reason.clone() }),
        Frame::Taken { frames } => Kind::Taken(proto::Taken { frames: *frames }),
        Frame::Settled(settled) => Kind::Settled(settled_to(settled)),
        Frame::Claims(claims) => Kind::Claims(claims_to(claims)),
        Frame::Answers(answers) => {
            Kind::Answers(proto::Answers { answers: answers.iter().map(write_forwarded).collect() })
        }
        Frame::Reply { id, result } => Kind::Reply(match result {
            Ok(answer) => proto::Reply { id: *id, status: 0, answer: Some(answers::to_wire(answer)) },
            Err(refusal) => proto::Reply { id: *id, status: u32::from(refusal.status.0), answer: None },
        }),
    };
    proto::Frame { kind: Some(kind) }
}

pub(super) fn from_wire(frame: proto::Frame) -> Result<Frame, WireError> {
    Ok(match need(frame.kind, "frame")? {
        Kind::Hello(hello) => Frame::Hello(hello_from(hello)),
        Kind::Publishes(list) => {
            let publishes = list.drafts.into_iter().map(publish_from).collect::<Result<_, _>>()?;
            Frame::Publishes { attempt: list.attempt, publishes }
        }
        Kind::Arrive(arrive) => Frame::Arrive(arrival_from(arrive)?),
        Kind::Moved(moved) => Frame::Moved { user: user_key(moved.user)?, head: Position(moved.head) },
        Kind::SettingsChanged(changed) => Frame::SettingsChanged {
            user: user_key(changed.user)?,
            time: Timestamp(changed.time),
            by: ConnectionId(changed.by),
        },
        Kind::SignOut(out) => {
            let void = |before| SignOut::TokensVoid { before: Timestamp(before) };
            Frame::SignOut { user: user_key(out.user)?, why: out.tokens_from.map_or(SignOut::Blocked, void) }
        }
        Kind::GivesWay(newcomer) => Frame::GivesWay(newcomer_from(newcomer)?),
        Kind::Forwards(list) => Frame::Forwards(list.forwards.into_iter().map(forward_from).collect::<Result<_, _>>()?),
        Kind::LetGo(list) => Frame::LetGo(list.partitions.into_iter().map(partition_from).collect::<Result<_, _>>()?),
        Kind::Call(call) => Frame::Call {
            id: call.id,
            wait: Duration::from_millis(u64::from(call.wait_ms)),
            request: calls::from_wire(need(call.request, "request")?)?,
        },
        Kind::Refused(refused) => Frame::Refused { reason: refused.reason },
        Kind::Taken(taken) => Frame::Taken { frames: taken.frames },
        Kind::Claims(list) => Frame::Claims(list.claims.into_iter().map(claim_from).collect::<Result<_, _>>()?),
        Kind::Settled(list) => Frame::Settled(list.settled.into_iter().map(settled_from).collect::<Result<_, _>>()?),
        Kind::Answers(list) => Frame::Answers(list.answers.into_iter().map(read_forwarded).collect::<Result<_, _>>()?),
        Kind::Reply(reply) => Frame::Reply {
            id: reply.id,
            result: match reply.status {
                0 => Ok(answers::from_wire(need(reply.answer, "answer")?)?),
                status => Err(refusal_from(status)?),
            },
        },
    })
}

fn claims_to(claims: &Claims) -> proto::Claims {
    let claim = |(partition, claim): (&PartitionId, &Claim)| proto::Claim {
        partition: u32::from(partition.0),
        offset: claim.0.0,
    };
    proto::Claims { claims: claims.iter().map(claim).collect() }
}

fn claim_from(claim: proto::Claim) -> Result<(PartitionId, Claim), WireError> {
    Ok((partition_from(claim.partition)?, Claim(Offset(claim.offset))))
}

fn partition_from(partition: u32) -> Result<PartitionId, WireError> {
    u8::try_from(partition).map(PartitionId).map_err(|_| WireError::Value("partition"))
}

fn hello_to(hello: &Hello) -> proto::Hello {
    proto::Hello {
        version: hello.version,
        oldest: hello.oldest,
        cluster: hello.cluster.0,
        node: hello.node.0,
        name: hello.name.clone(),
        to: hello.to.map(|node| node.0),
    }
}

fn hello_from(hello: proto::Hello) -> Hello {
    Hello {
        version: hello.version,
        oldest: hello.oldest,
        cluster: LogId(hello.cluster),
        node: NodeId(hello.node),
        name: hello.name,
        to: hello.to.map(NodeId),
    }
}

fn publish_from(draft: proto::Draft) -> Result<Publish, WireError> {
    let Drafted { publish, origin, floor } = Drafted::from_wire(draft)?;
    let ServerPublish { app, sender, kind, target, class, flags, object_name, content, extras, .. } = publish;
    let sender = UserKey::new(app, sender);
    Ok(Publish { sender, kind, target, class, flags, object_name, content, origin, floor, extras })
}

fn forward_from(forward: proto::Forward) -> Result<Forward, WireError> {
    let proto::Forward { id, draft, after, oldest } = forward;
    let Drafted { publish, origin, floor } = Drafted::from_wire(need(draft, "draft")?)?;
    Ok(Forward { id, after, oldest, publish, origin, floor })
}

fn arrival_to(arrival: &Arrival) -> proto::Arrive {
    let deliver = |to: &Deliver| proto::Deliver {
        user: to.user.as_str().to_owned(),
        position: to.position.map(|position| position.0),
        previous: to.previous.0,
        sent_on: to.sent_on.map(|connection| connection.0),
    };
    proto::Arrive { record: record_of((*arrival.message).clone()), to: arrival.to.iter().map(deliver).collect() }
}

fn arrival_from(arrive: proto::Arrive) -> Result<Arrival, WireError> {
    let message = words::message_of(arrive.record)?;
    let deliver = |to: proto::Deliver| {
        Ok(Deliver {
            user: UserId::new(&to.user)?,
            position: to.position.map(Position),
            previous: Position(to.previous),
            sent_on: to.sent_on.map(ConnectionId),
            online: None,
        })
    };
    let to = arrive.to.into_iter().map(deliver).collect::<Result<_, WireError>>()?;
    Ok(Arrival { app: message.app.clone(), message: Arc::new(message), to })
}

fn newcomer_to(newcomer: &Newcomer) -> proto::GivesWay {
    proto::GivesWay {
        user: user_to(&newcomer.user),
        connection: newcomer.connection.0,
        time: newcomer.time.0,
        platform: newcomer.platform.as_str().to_owned(),
        device: newcomer.device.as_ref().map(|device| device.as_str().to_owned()),
        one_per_platform: newcomer.one_per_platform,
    }
}

fn newcomer_from(newcomer: proto::GivesWay) -> Result<Newcomer, WireError> {
    Ok(Newcomer {
        user: user_key(newcomer.user)?,
        connection: ConnectionId(newcomer.connection),
        time: Timestamp(newcomer.time),
        platform: Platform::parse(&newcomer.platform),
        device: newcomer.device.map(|device| anser_types::DeviceId::new(&device)).transpose()?,
        one_per_platform: newcomer.one_per_platform,
    })
}

fn settled_to(settled: &[Settled]) -> proto::SettledList {
    let one = |settled: &Settled| proto::Settled {
        connection: settled.connection.0,
        publish: settled.publish,
        outcome: Some(outcome_to(&settled.outcome)),
    };
    proto::SettledList { settled: settled.iter().map(one).collect() }
}

fn settled_from(settled: proto::Settled) -> Result<Settled, WireError> {
    Ok(Settled {
        connection: ConnectionId(settled.connection),
        publish: settled.publish,
        outcome: outcome_from(need(settled.outcome, "outcome")?)?,
    })
}

fn app_key(app: &str) -> Result<AppKey, WireError> {
    Ok(AppKey::new(app)?)
}
