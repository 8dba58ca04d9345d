//! How far a terminal has got. Key: the user's key, a two, the device; value: the position.

use anser_types::{DeviceId, UserKey};

use super::user_key;

pub(in crate::store) use super::user_head::{read, write};

const FAMILY: u8 = 2;

pub(in crate::store) fn key(user: &UserKey, device: &DeviceId) -> Vec<u8> {
    let mut key = user_key(user);
    key.push(FAMILY);
    key.extend_from_slice(device.as_str().as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::super::tests::bob;
    use super::*;

    #[test]
    fn golden_cursor() {
        assert_eq!(key(&bob(), &DeviceId::new("phone").unwrap()), b"\0\x03app\0\x03bob\x02phone");
    }
}
