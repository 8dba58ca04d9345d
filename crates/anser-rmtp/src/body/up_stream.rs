//! Whether what a client publishes can be read by those who get it.

use prost::Message as _;

use super::{PushExtra, UpStreamMessage};

impl UpStreamMessage {
    /// Whether everything that is passed on as it came is what the schema says: texts are UTF-8, and push settings can be decoded. A client
    /// that is sent anything else cannot read the page that it is on, and asks for that page for ever.
    pub fn is_readable(&self) -> bool {
        let Self { classname, content, push_text, app_data, extra_content, bus_channel, push_ext, .. } = self;
        let optional = [push_text, app_data, extra_content, bus_channel];
        let mut texts = [classname, content].into_iter().chain(optional.into_iter().flatten());
        texts.all(|text| std::str::from_utf8(text).is_ok())
            && push_ext.as_ref().is_none_or(|settings| PushExtra::decode(settings.clone()).is_ok())
    }
}

impl PushExtra {
    /// As it is stored and sent.
    pub fn to_bytes(&self) -> bytes::Bytes {
        self.encode_to_vec().into()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn slow_is_alone_what_receivers_could_not_read_is_noticed() {
        let good = UpStreamMessage {
            classname: "RC:TxtMsg".into(),
            content: "\u{1f600}".into(),
            push_ext: Some(PushExtra { title: Some("t".into()), ..PushExtra::default() }.to_bytes()),
            ..UpStreamMessage::default()
        };
        assert!(good.is_readable() && UpStreamMessage::default().is_readable());
        let bad = Bytes::from_static(b"\xff");
        for unreadable in [
            UpStreamMessage { classname: bad.clone(), ..good.clone() },
            UpStreamMessage { content: bad.clone(), ..good.clone() },
            UpStreamMessage { push_text: Some(bad.clone()), ..good.clone() },
            UpStreamMessage { app_data: Some(bad.clone()), ..good.clone() },
            UpStreamMessage { extra_content: Some(bad.clone()), ..good.clone() },
            UpStreamMessage { bus_channel: Some(bad), ..good.clone() },
            UpStreamMessage { push_ext: Some(b"\x0a\xff".as_slice().into()), ..good.clone() },
            UpStreamMessage { push_ext: Some(br#"{"title":"t"}"#.as_slice().into()), ..good },
        ] {
            assert!(!unreadable.is_readable(), "{unreadable:?}");
        }
    }
}
