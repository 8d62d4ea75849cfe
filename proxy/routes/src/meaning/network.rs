//! Networks: `10.0.0.0/8`, or one address.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::problem::{Draft, Problems};
use crate::written::reader::Located;

/// The networks that can be read.
pub(super) fn parse_all(written: &[Located<String>], problems: &mut Problems) -> Vec<IpNet> {
    written.iter().filter_map(|text| parse(text, problems)).collect()
}

fn parse(text: &Located<String>, problems: &mut Problems) -> Option<IpNet> {
    let network = text.value.parse::<IpNet>().ok();
    let network = network.or_else(|| text.value.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(network) = network else {
        let message = format!("`{}` is no network", text.value);
        let draft = Draft::error("bad-network", text.spot, message);
        problems.push(draft.hint("write it like `10.0.0.0/8`, `fd00::/8` or `192.0.2.7`"));
        return None;
    };
    if network != network.trunc() {
        let message = format!("`{}` is an address within a network", text.value);
        let hint = format!("did you mean `{}`?", network.trunc());
        problems.push(Draft::error("bad-network", text.spot, message).hint(hint));
        return None;
    }
    Some(network)
}
