//! One condition of `when` and `pin`.

use super::reader::Located;
use super::table::table;
use super::word::ArmWord;

table! {
    /// A test on one part of the request: one of `header`, `query`, `cookie`, `client_ip`, and one check.
    ConditionTable in "a condition" {
        /// Name of a header.
        may header: String,
        /// Name of a query parameter.
        may query: String,
        /// Name of a cookie.
        may cookie: String,
        /// `true` looks at the client address; the check is `within`.
        may client_ip: bool,
        /// The whole value.
        may equals: String,
        /// The beginning of the value.
        may prefix: String,
        /// A regular expression for the whole value.
        may regex: String,
        /// Whether it is there at all.
        may present: bool,
        /// Addresses or networks; only with `client_ip`.
        may within: Vec<Located<String>>,
    }
    later []
    hints [
        "" => "write it like `{ header = \"NAME\", equals = \"VALUE\" }`",
        "name" => "write the name after its kind: `header = \"NAME\"`",
        "value" => "did you mean `equals`?",
        "is" => "did you mean `equals`?",
        "matches" => "did you mean `regex`?",
        "method" => "did you mean the `methods` of the route?",
        "to" => "a condition of `when` has no `to`: did you mean `pin`?",
    ]
}

table! {
    /// A condition that chooses an arm whatever the share.
    PinTable in "a pin" {
        /// Name of a header.
        may header: String,
        /// Name of a query parameter.
        may query: String,
        /// Name of a cookie.
        may cookie: String,
        /// `true` looks at the client address; the check is `within`.
        may client_ip: bool,
        /// The whole value.
        may equals: String,
        /// The beginning of the value.
        may prefix: String,
        /// A regular expression for the whole value.
        may regex: String,
        /// Whether it is there at all.
        may present: bool,
        /// Addresses or networks; only with `client_ip`.
        may within: Vec<Located<String>>,
        /// The arm.
        must to: ArmWord,
    }
    later []
    hints [
        "" => "write it like `{ header = \"NAME\", equals = \"VALUE\", to = \"candidate\" }`",
        "to" => "name the arm: `to = \"candidate\"` or `to = \"legacy\"`",
        "name" => "write the name after its kind: `header = \"NAME\"`",
        "value" => "did you mean `equals`?",
        "is" => "did you mean `equals`?",
        "matches" => "did you mean `regex`?",
        "arm" => "did you mean `to`?",
    ]
}

impl PinTable {
    /// The condition without its arm.
    pub(crate) fn condition(&self) -> ConditionTable {
        let pin = self.clone();
        ConditionTable {
            header: pin.header,
            query: pin.query,
            cookie: pin.cookie,
            client_ip: pin.client_ip,
            equals: pin.equals,
            prefix: pin.prefix,
            regex: pin.regex,
            present: pin.present,
            within: pin.within,
        }
    }
}
