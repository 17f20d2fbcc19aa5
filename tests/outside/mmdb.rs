//! A database of places in MaxMind's format, as a test needs it: a search tree over the bits of an address, its leaves pointing at
//! records.

/// A value of the format.
pub(crate) enum Value<'a> {
    Text(&'a str),
    Short(u16),
    Number(u32),
    Long(u64),
    Map(Vec<(&'a str, Value<'a>)>),
    List(Vec<Value<'a>>),
}

/// The kind and the length, then what it is. Lengths here are all below 29.
fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    let head = |kind: u8, length: usize| kind << 5 | u8::try_from(length).expect("short");
    match value {
        Value::Text(text) => {
            out.push(head(2, text.len()));
            out.extend_from_slice(text.as_bytes());
        }
        Value::Short(number) => {
            out.push(head(5, 2));
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Long(number) => {
            out.extend([head(0, 8), 9 - 7]);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Number(number) => {
            out.push(head(6, 4));
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Map(entries) => {
            out.push(head(7, entries.len()));
            for (key, value) in entries {
                write(&Value::Text(key), out);
                write(value, out);
            }
        }
        Value::List(items) => {
            out.extend([head(0, items.len()), 11 - 7]);
            items.iter().for_each(|item| write(item, out));
        }
    }
}

/// A database of these networks of IPv4.
pub(crate) fn database(networks: &[([u8; 4], usize, Value<'_>)]) -> Vec<u8> {
    let mut data = Vec::new();
    // Each node has a way for 0 and for 1; a way leads to a node, or to a record.
    #[derive(Clone, Copy)]
    enum Way {
        Nowhere,
        Node(usize),
        Record(usize),
    }
    let mut nodes = vec![[Way::Nowhere; 2]];
    for (address, bits, record) in networks {
        let at = data.len();
        write(record, &mut data);
        let address = u32::from_be_bytes(*address);
        let mut node = 0;
        for bit in 0..*bits {
            let side = (address >> (31 - bit) & 1) as usize;
            nodes[node][side] = match nodes[node][side] {
                _ if bit + 1 == *bits => Way::Record(at),
                Way::Node(next) => Way::Node(next),
                _ => {
                    nodes.push([Way::Nowhere; 2]);
                    Way::Node(nodes.len() - 1)
                }
            };
            if let Way::Node(next) = nodes[node][side] {
                node = next;
            }
        }
    }
    let count = nodes.len();
    let mut bytes = Vec::new();
    for way in nodes.iter().flatten() {
        let number = match way {
            Way::Nowhere => count,
            Way::Node(next) => *next,
            Way::Record(at) => count + 16 + at,
        };
        bytes.extend_from_slice(&u32::try_from(number).expect("small").to_be_bytes()[1..]);
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let metadata = Value::Map(vec![
        ("node_count", Value::Number(u32::try_from(count).expect("few"))),
        ("record_size", Value::Short(24)),
        ("ip_version", Value::Short(4)),
        ("database_type", Value::Text("Test-City")),
        ("languages", Value::List(vec![Value::Text("en")])),
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1_800_000_000)),
        ("description", Value::Map(vec![("en", Value::Text("for tests"))])),
    ]);
    write(&metadata, &mut bytes);
    bytes
}

/// Something that has a name in English.
pub(crate) fn named(name: &'static str) -> Value<'static> {
    Value::Map(vec![("names", Value::Map(vec![("en", Value::Text(name))]))])
}
