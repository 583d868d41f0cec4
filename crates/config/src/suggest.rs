//! "did you mean": the name that was probably meant.

/// The name nearest to what was written, if it is near enough: at most a third of its characters differ.
pub(crate) fn suggest<'n>(
    written: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    // What is longer is no slip of the pen, and the comparison is quadratic.
    if written.is_empty() || written.len() > 64 {
        return None;
    }
    let plain = written.to_ascii_lowercase();
    let limit = (written.chars().count() / 3).max(1);
    names
        .into_iter()
        .filter(|name| name.len() <= 96)
        .map(|name| (strsim::damerau_levenshtein(&plain, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= limit && *distance < name.chars().count())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn finds_slips_of_the_pen_only() {
        let names = ["address", "bind_port", "name", "Http1"];
        assert_eq!(suggest("adress", names), Some("address"));
        assert_eq!(suggest("bindport", names), Some("bind_port"));
        assert_eq!(suggest("http1", names), Some("Http1"));
        assert_eq!(suggest("nmae", names), Some("name"));
        assert_eq!(suggest("listeners", names), None);
        assert_eq!(suggest("", names), None);
        assert_eq!(suggest(&"x".repeat(1000), names), None);
    }
}
