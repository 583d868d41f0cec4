#!/bin/sh
# Every test of the workspace. Installs the programs that the tests talk to where they are missing (Debian; as root
# or with sudo). Arguments go to cargo test.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"

# program:package
missing=
for peer in nginx:nginx curl:curl wrk:wrk ip:iproute2 iptables:iptables python3:python3 openssl:openssl; do
  command -v "${peer%%:*}" >/dev/null || missing="$missing ${peer##*:}"
done
# shellcheck disable=SC2086 # a list of packages
[ -z "$missing" ] || sh .ci/install $missing

cargo test --workspace --locked "$@"
