"""The side-by-side benchmark; bench/README.md says what it measures and why so."""
