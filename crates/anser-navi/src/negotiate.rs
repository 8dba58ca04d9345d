//! What a client asks for in the header `RC-Negotiate`, such as `conn=1,2;rtc=4;log=2;iptype=v4,v6`.

use crate::Transport;

/// More transports than there are numbers are not read.
const TRANSPORTS_MAX: usize = 16;

/// The transports that the header names, in its order; unknown numbers are left out. Empty: the client did not say.
pub(crate) fn transports(header: &str) -> Vec<Transport> {
    let Some(numbers) = header.split(';').find_map(|part| part.trim().strip_prefix("conn=")) else {
        return Vec::new();
    };
    let numbers = numbers.split(',').take(TRANSPORTS_MAX);
    numbers.filter_map(|number| Transport::from_number(number.trim().parse().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_transports_in_order_of_liking() {
        let cases: [(&str, &[Transport]); 6] = [
            ("conn=5;rtc=4;log=2;iptype=v4,v6", &[Transport::Ws]),
            ("conn=1,2", &[Transport::Tcp, Transport::Tls]),
            ("rtc=4; conn=6 , 5", &[Transport::Wss, Transport::Ws]),
            ("conn=3,4,x,,5", &[Transport::Ws]),
            ("", &[]),
            ("conn;conn=", &[]),
        ];
        for (header, wanted) in cases {
            assert_eq!(transports(header), wanted, "{header}");
        }
    }
}
