//! HPACK (RFC 7541): fields are written as literals, and read in every form.

/// Appends fields, none of them indexed or in Huffman's code.
#[must_use]
pub fn encode(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            integer(text.len(), 7, &mut out);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// Appends an integer with this many bits in its first byte, whose other bits are zero (section 5.1).
fn integer(value: usize, bits: u32, out: &mut Vec<u8>) {
    let most = (1 << bits) - 1;
    if value < most {
        out.push(value as u8);
        return;
    }
    out.push(most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        out.push((rest % 128 + 128) as u8);
        rest /= 128;
    }
    out.push(rest as u8);
}

/// Names as they came, and values.
pub type Fields = Vec<(String, String)>;

/// What one direction of a connection remembers. It panics on what is no HPACK.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The newest first.
    dynamic: Vec<(String, String)>,
    huffman: Option<Huffman>,
}

impl Decoder {
    /// The fields of a whole header block.
    pub fn decode(&mut self, mut block: &[u8]) -> Fields {
        let mut fields = Vec::new();
        while let Some(&first) = block.first() {
            match first {
                0x80.. => {
                    let index = take_integer(&mut block, 7);
                    fields.push(self.entry(index));
                }
                0x40.. => {
                    let field = self.literal(&mut block, 6);
                    self.dynamic.insert(0, field.clone());
                    fields.push(field);
                }
                // A change of the table's size: whoever writes will not use what it has evicted.
                0x20.. => {
                    take_integer(&mut block, 5);
                }
                _ => fields.push(self.literal(&mut block, 4)),
            }
        }
        fields
    }

    fn literal(&mut self, block: &mut &[u8], bits: u32) -> (String, String) {
        let name = match take_integer(block, bits) {
            0 => self.string(block),
            index => self.entry(index).0,
        };
        (name, self.string(block))
    }

    fn entry(&self, index: usize) -> (String, String) {
        match index.checked_sub(STATIC.len() + 1) {
            Some(at) => self.dynamic[at].clone(),
            None => {
                let (name, value) = STATIC[index - 1];
                (name.to_owned(), value.to_owned())
            }
        }
    }

    fn string(&mut self, block: &mut &[u8]) -> String {
        let is_coded = block[0] & 0x80 != 0;
        let length = take_integer(block, 7);
        let (bytes, rest) = block.split_at(length);
        *block = rest;
        let bytes = match is_coded {
            true => self.huffman.get_or_insert_with(Huffman::new).decode(bytes),
            false => bytes.to_vec(),
        };
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn take_integer(block: &mut &[u8], bits: u32) -> usize {
    let most = (1 << bits) - 1;
    let mut value = usize::from(block[0]) & most;
    *block = &block[1..];
    if value < most {
        return value;
    }
    for shift in (0..).step_by(7) {
        let byte = block[0];
        *block = &block[1..];
        value += usize::from(byte & 127) << shift;
        if byte < 128 {
            break;
        }
    }
    value
}

/// The code of section 5.2. It is canonical: the lengths of its words say all.
#[derive(Debug)]
struct Huffman {
    /// Length and word of each symbol, shorter ones first.
    words: Vec<(u8, u32, usize)>,
}

impl Huffman {
    fn new() -> Self {
        let mut symbols: Vec<usize> = (0..LENGTHS.len()).collect();
        symbols.sort_by_key(|&symbol| LENGTHS[symbol]);
        let (mut word, mut length) = (0_u32, 0);
        let words = symbols.into_iter().map(|symbol| {
            word <<= LENGTHS[symbol] - length;
            length = LENGTHS[symbol];
            word += 1;
            (length, word - 1, symbol)
        });
        Self { words: words.collect() }
    }

    fn decode(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut word, mut length) = (Vec::new(), 0, 0);
        for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
            (word, length) = (word << 1 | u32::from(bit), length + 1);
            let found = self.words.iter().find(|(of, is, _)| (*of, *is) == (length, word));
            if let Some((_, _, symbol)) = found {
                out.push(u8::try_from(*symbol).expect("the end is not sent"));
                (word, length) = (0, 0);
            }
        }
        out
    }
}

/// Lengths of the words of Appendix B, in bits; the last is that of the end.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// Appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541, C.6.1 and C.3.1.
    #[test]
    fn reads_the_examples_of_the_rfc() {
        let hex = "4882640258 85aec3771a4b 6196d07abe941054d444a8200595040b8166e082a62d1bff             6e919d29ad171863c78f0b97c8e9ae82ae43d3";
        let hex = hex.replace(' ', "");
        let block: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let mut decoder = Decoder::default();
        let fields = decoder.decode(&block);
        let shown: Vec<String> = fields.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        assert_eq!(
            shown,
            [
                ":status: 302",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "location: https://www.example.com",
            ]
        );
        assert_eq!(decoder.decode(&[0xbe]), fields[3..], "the newest entry");
    }

    #[test]
    fn reads_what_it_writes() {
        let long = "v".repeat(5000);
        let fields = [(":path", "/"), ("a", ""), ("long", &*long)];
        let read = Decoder::default().decode(&encode(&fields));
        assert_eq!(read, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
